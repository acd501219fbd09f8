"""The worker: the pure interpreter, and the loop that feeds it: receive, load, interpret, commit."""
