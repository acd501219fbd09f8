"""What commands work on: a store, or the API of a deployment.

Both answer with the JSON of the public contract.
"""
