"""Writes and checks parts of the documentation. Nothing of this is in the wheel."""
