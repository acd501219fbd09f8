"""Runs the tasks that call services or commands: receives them from the store and sends back their results.

`unspool.executor.service` has the main loop, `unspool.executor.handlers` the handler of each queue. Delivery
is at least once: a handler can get the same request again, with the same idempotency key.
"""
