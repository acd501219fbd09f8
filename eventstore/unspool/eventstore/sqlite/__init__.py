"""The embedded adapter: a store in one SQLite file, or in memory.

store.py              the port, composed of mixins
database.py           shared by the mixins: connection threads, notifications, clocks
connection_thread.py  a thread that owns a connection and runs calls in groups
writer_thread.py      detects the commits of other processes
leases.py             leased deliveries, the same for messages and tasks
schema.sql            the tables
"""
