"""Does the tasks that touch the world: takes them from the store, runs their handlers, sends back results.

`unspool.executor.service` is the loop, `unspool.executor.handlers` the handlers by queue. Delivery is at
least once: a handler may see the same request again and tells the outside by its idempotency key.
"""
