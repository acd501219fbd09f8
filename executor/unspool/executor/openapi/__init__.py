"""`call: openapi` (dsl-reference.md, "OpenAPI Call"; inventory J13, J14).

A document is parsed once (`document.py`). An operation is read once (`operation.py`): its parameters
(`parameters.py`) and how they are written (`styles.py`), its body (`bodies.py`), its server (`servers.py`)
and its security schemes (`security.py`). `request.py` builds the HTTP request of one call, and `call.py`
sends it as `call: http` does.
"""
