"""The queues that every release knows are those of the built-in kinds."""

from unspool.definitions.tasks.queues import QUEUES
from unspool.definitions.tasks.request import queue_of
from unspool.executor.kinds import BUILT_IN


def test_every_built_in_kind_has_a_known_queue():
    assert {queue_of(kind) for kind in BUILT_IN} == QUEUES
