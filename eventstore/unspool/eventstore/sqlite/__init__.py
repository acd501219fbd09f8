"""The embedded adapter: a store in one SQLite file, or in memory.

store.py       the port, put together from its facets
database.py    what the facets share: two lanes, the bells, the clocks
lane.py        a thread with a connection, on which calls are done in groups
shared_file.py notices what other processes write to the same file
leases.py      deliveries on loan, the same for messages and tasks
schema.sql     the tables
"""

from unspool.eventstore.sqlite.settings import SqliteSettings
from unspool.eventstore.sqlite.store import SqliteStore

__all__ = ["SqliteSettings", "SqliteStore"]
