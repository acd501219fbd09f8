"""Functions in Python, which authors declare with `unspool.functions` (docs/functions.md)."""
