"""Maps errors of Redis to the errors of the port."""

import re
from typing import Final

from redis.exceptions import (
    ClusterDownError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from unspool.eventstore.errors import StoreError, StoreUnavailable


class ScriptMissing(StoreUnavailable):
    """The server does not have a script: it was restarted, or its scripts were flushed."""


class GroupMissing(StoreUnavailable):
    """A stream or its consumer group was deleted."""


# Redis wraps an error inside a script in another one, on Redis 6.2 as "ERR Error running script
# (call to f_…): @user_script:31: -OOM command not allowed …". Only the code word is the same in all versions.
_TEMPORARY: Final = re.compile(
    r"\b(OOM|MISCONF|LOADING|READONLY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|NOREPLICAS|NOAUTH|BUSY)\b"
)
_GROUP_GONE: Final = re.compile(r"\b(NOGROUP|UNBLOCKED)\b")
_TEMPORARY_CLASSES: Final = (OutOfMemoryError, ReadOnlyError, ClusterDownError, TryAgainError)


_WITHOUT_MESSAGE: Final = "it does not answer"
"""The cause that is reported for an error without a message."""


def as_store_error(error: RedisError | OSError) -> StoreError:
    """The error of the port for an error of Redis or of the connection."""
    if not isinstance(error, ResponseError):
        return StoreUnavailable(f"Redis cannot be reached: {str(error) or _WITHOUT_MESSAGE}")
    text = str(error)
    if isinstance(error, NoScriptError):
        return ScriptMissing(text)
    if _GROUP_GONE.search(text):
        return GroupMissing(text)
    if isinstance(error, _TEMPORARY_CLASSES) or _TEMPORARY.search(text):
        return StoreUnavailable(f"Redis refuses for now: {text}")
    return StoreError(f"Redis refused: {text}")
