"""Schedules (docs/decisions/0009-schedules.md)."""
