"""Transports of events beside the API: sinks, to which published events are sent, and streams of others."""
