"""The Lua scripts. Each has one file, which documents it. Some begin with functions of other files.

Redis identifies a script by the hash of its text, not by a name (`FUNCTION`), so two releases can use one
store during an upgrade. The scripts run on Redis 6.2, which has neither functions nor script flags (`#!lua`).
"""

import hashlib
from importlib import resources
from typing import Final, NamedTuple


class Script(NamedTuple):
    """A script."""

    source: str
    sha: str


def _script(name: str, *functions: str) -> Script:
    files = resources.files(__package__)
    source = "".join(files.joinpath(f"{each}.lua").read_text(encoding="utf-8") for each in (*functions, name))
    return Script(source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


ACKNOWLEDGE: Final = _script("acknowledge")
BACKLOG: Final = _script("backlog")
CLAIM_KEY: Final = _script("claim_key")
COMMIT: Final = _script("commit", "positions", "grouped")
DELIVER: Final = _script("deliver", "positions", "grouped", "create")
DEREGISTER: Final = _script("deregister")
DRAIN: Final = _script("drain")
DROP: Final = _script("drop")
DROP_TEXT: Final = _script("drop_text")
FINISH: Final = _script("finish")
FIRE: Final = _script("fire")
HEARTBEAT: Final = _script("heartbeat")
INDEX_ENDED: Final = _script("index_ended")
INDEX_EXISTING: Final = _script("index_existing")
KEEP_KEY: Final = _script("keep_key")
KEEP_SINK: Final = _script("keep_sink")
LAST_IDS: Final = _script("last_ids", "received")
LOAD: Final = _script("load")
LOOK_BACK: Final = _script("look_back")
LOOK_AT_TEXT: Final = _script("look_at_text")
MATCH: Final = _script("match", "positions")
MOVE_TO_DEAD_LETTERS: Final = _script("move_to_dead_letters")
PUBLISH: Final = _script("publish", "positions")
PUT_TEXT: Final = _script("put_text")
RECEIVE_EVENTS: Final = _script("receive_events")
RECEIVE_FOR_SINK: Final = _script("receive_for_sink")
RECLAIM: Final = _script("reclaim")
RECORD_PROGRESS: Final = _script("record_progress", "positions")
RECORD_SOURCE: Final = _script("record_source")
RELEASE: Final = _script("release", "received")
RELEASE_KEY: Final = _script("release_key")
RENEW: Final = _script("renew")
REQUEUE: Final = _script("requeue")
RESERVE_START: Final = _script("reserve_start")
SEARCH: Final = _script("search")
SETTLE: Final = _script("settle", "positions")
SNAPSHOT: Final = _script("snapshot")
START: Final = _script("start", "grouped", "create")
TAKE: Final = _script("take")
