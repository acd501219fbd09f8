"""`call: asyncapi` (dsl-reference.md, "AsyncAPI Call"; inventory J.4)."""
