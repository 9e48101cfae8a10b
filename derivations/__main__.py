"""``python -m derivations``: hold the documents' formulas against autograd, and write the page."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from derivations.page import page
from examples.files import whole

PAGE = Path(__file__).parent.parent / "docs" / "derivations.md"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m derivations", description=__doc__)
    parser.add_argument("--output", type=Path, default=PAGE, metavar="FILE", help="default: docs/derivations.md")
    with whole(parser.parse_args(arguments).output) as file:
        file.write(page().encode())


if __name__ == "__main__":
    main()
