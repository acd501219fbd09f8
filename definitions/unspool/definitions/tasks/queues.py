"""The queues of the task requests that every release knows. Functions have others, which executors name."""

from typing import Final

from unspool.definitions import resource
from unspool.definitions.tasks import call_http, run_shell
from unspool.definitions.tasks.request import SHARED_QUEUE

QUEUES: Final = frozenset({SHARED_QUEUE, call_http.KIND, run_shell.KIND, resource.QUEUE})
