"""`call: grpc` (dsl-reference.md, "gRPC Call"; inventory J19-J21)."""

import os

# Before the library is imported: it writes remarks to standard error, which is for the lines of our log.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
