"""Limits of calls by their target: how often, how many at once, and a pause if a host does not answer."""
