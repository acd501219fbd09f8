"""`call: sql` for Unspool."""
