"""Real jq for the expressions that need it. The process starts with the first of them."""

import atexit
from functools import cache

from unspool.definitions.expressions import JqPool

_SECONDS = 10.0
"""Of one call. A test machine may be busy, and the author of a test trusts its expressions."""


@cache
def jq_pool() -> JqPool:
    """Returns the pool of this process. It is closed when the process ends."""
    pool = JqPool(size=1, seconds=_SECONDS)
    atexit.register(pool.close)
    return pool
