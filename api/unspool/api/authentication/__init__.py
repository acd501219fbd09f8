"""Who calls the API, and what a caller may do."""
