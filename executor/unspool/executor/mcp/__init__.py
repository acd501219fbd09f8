"""`call: mcp` (dsl-reference.md, "MCP Call"; inventory J23).

The official library speaks the protocol (`session.py`). The messages go over connections of ours, for the
egress policy and the limits: `http.py` is the
transport over HTTP, `stdio.py` the one to a process.
"""
