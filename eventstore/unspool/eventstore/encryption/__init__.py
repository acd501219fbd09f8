"""Encryption of payloads in a store: a wrapper of any adapter, and the keys that it uses."""
