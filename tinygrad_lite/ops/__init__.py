"""The operations: per family one file of primitives, their derivative rules, and the functions users call."""
