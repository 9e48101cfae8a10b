"""What the five documents derive by hand, held against autograd; ``python -m derivations`` writes the page."""
