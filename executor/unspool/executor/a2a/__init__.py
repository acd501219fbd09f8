"""`call: a2a` (dsl-reference.md, "A2A Call"; inventory J22): a client of A2A 0.3 and 1.0, JSON-RPC over HTTP.

`card.py` finds the address of the agent and the place of the credentials, `message.py` makes the request,
`call.py` sends it, and `answer.py` reads the answer.
"""
