"""`unspool mcp`: a server of the Model Context Protocol, for agents (docs/mcp.md, decision 26).

The official library speaks the protocol. The tools work on a store or on an API, as commands do.
"""
