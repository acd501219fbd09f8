"""`call: grpc` (dsl-reference.md, "gRPC Call"; inventory J19-J21)."""
