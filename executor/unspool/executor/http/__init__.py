"""`call: http` (dsl-reference.md, "HTTP Call"; inventory J.2)."""
