"""Webhooks: turns what services send into CloudEvents (docs/events.md, "Webhooks").

`endpoint` handles a request. `configuration` reads the file that says which webhooks exist.
"""
