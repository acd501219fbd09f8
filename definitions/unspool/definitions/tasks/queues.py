"""The queues of the task requests that every release knows. Functions have others, which executors name."""

from typing import Final

SHARED_QUEUE: Final = "call"
"""Of several kinds: each queue of an executor makes its reads from the store longer."""

HTTP_QUEUE: Final = "http"
SHELL_QUEUE: Final = "shell"
RESOURCE_QUEUE: Final = "resource"

QUEUES: Final = frozenset({SHARED_QUEUE, HTTP_QUEUE, SHELL_QUEUE, RESOURCE_QUEUE})
