"""The child process that runs real jq: started by `jq_pool` as a script, knows nothing of its parent.

Arguments: bytes of memory it may have, seconds of one call, and the folders where `jq` and `orjson` are.
Requests and answers are frames on stdin and stdout: four bytes of length, then the payload. A request is a
line of JSON (`op`, `source`, `names`) and, for `op: run`, the JSON of `{"v": variables, "d": value}`; an
answer is one of the letters below and, after V and E, JSON or a message. It ends when stdin does.
"""

import json
import os
import resource
import signal
import struct
import sys
import time
from collections import OrderedDict
from contextlib import suppress
from typing import Any, BinaryIO

sys.path[:0] = sys.argv[3:]

import jq  # noqa: E402 -- found only on the path given
import orjson  # noqa: E402

READY, VALUE, NOTHING, ERROR, LIMIT, OK = b"R", b"V", b"N", b"E", b"L", b"K"
LARGEST_OUTPUT = 1024 * 1024
PROGRAMS_KEPT = 256
NOBODY = 65534

HIDDEN = (
    *("env", "input", "inputs", "input_filename", "input_line_number", "debug", "stderr", "halt"),
    *("halt_error", "get_search_list", "modulemeta"),
)
HIDDEN_WITH_ARGUMENT = ("debug", "halt_error")
PRELUDE = "".join(
    [f'def {name}: error("{name} is not available"); ' for name in HIDDEN]
    + [f'def {name}(f): error("{name} is not available"); ' for name in HIDDEN_WITH_ARGUMENT]
)


def confine(memory: int) -> None:
    """Gives up what running jq does not need: memory, files, processes, the user."""
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    if os.geteuid() == 0:
        with suppress(OSError):  # a container may withhold the right to change users
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))  # stdin, stdout, stderr are open; nothing else will be


class Programs:
    """Compiled programs, the recently used ones kept: compiling takes milliseconds."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Any] = OrderedDict()

    def compiled(self, source: str, names: list[str]) -> Any:
        """The program. Raises ValueError when it is no jq."""
        key = " ".join([*names, "|", source])
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        # Alone first: `1) | (2` must not become valid by what is put around it.
        jq.compile(source, args=dict.fromkeys(names))
        program = self._kept[key] = jq.compile(wrapped(source, names))
        if len(self._kept) > PROGRAMS_KEPT:
            self._kept.popitem(last=False)
        return program


def wrapped(source: str, names: list[str]) -> str:
    """The expression with its variables taken from the input; jq.py can bind them at compile time only."""
    bound = "".join(f"$__w.v.{name} as ${name} | " for name in names)
    # Times are told by whoever asks, and local is UTC, so that evaluating again gives the same.
    now = "def now: $__now; " if "__now" in names else ""
    return f"{PRELUDE}{{}} as $ENV | . as $__w | {bound}{now}$__w.d | (\n{source}\n)"


def answer(request: bytes, programs: Programs) -> bytes:
    """The answer to one request."""
    head, _, body = request.partition(b"\n")
    asked = orjson.loads(head)
    try:
        program = programs.compiled(asked["source"], asked["names"])
        if asked["op"] == "check":
            return OK
        outputs = iter(program.input_text(body.decode()))
        try:
            return encoded(next(outputs))
        except StopIteration:
            return NOTHING
    except MemoryError:
        return LIMIT
    except ValueError as error:
        return ERROR + str(error).encode("utf-8", "replace")


def encoded(value: Any) -> bytes:
    """An output as JSON, if it is not too large or too deep."""
    try:
        text = orjson.dumps(value)
    except TypeError:  # an integer of more than 64 bits, or too deep for orjson
        try:
            text = json.dumps(value).encode()
            orjson.loads(text)
        except (ValueError, RecursionError):
            return LIMIT
    return VALUE + text if len(text) <= LARGEST_OUTPUT else LIMIT


def serve(requests: BinaryIO, answers: BinaryIO, seconds: float) -> None:
    """Answers requests until there are no more.

    The alarm ends this process even when its parent is gone: it needs no Python to run, unlike a handler.
    """
    programs = Programs()
    send(answers, READY)
    while len(size := requests.read(4)) == 4:
        request = requests.read(struct.unpack(">I", size)[0])
        signal.setitimer(signal.ITIMER_REAL, seconds)
        reply = answer(request, programs)
        signal.setitimer(signal.ITIMER_REAL, 0)
        send(answers, reply)


def send(answers: BinaryIO, reply: bytes) -> None:
    """Writes one frame."""
    answers.write(struct.pack(">I", len(reply)) + reply)
    answers.flush()


if __name__ == "__main__":
    os.environ["TZ"] = "UTC"
    time.tzset()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    confine(int(sys.argv[1]))
    serve(sys.stdin.buffer, sys.stdout.buffer, float(sys.argv[2]) * 1.5)
