"""What ``explain()`` tells of a compiled function."""
