"""Handlers of `run` tasks: shell commands, scripts and containers."""
