"""Why an execution waits: pure functions from its plan, its state and facts to sentences."""
