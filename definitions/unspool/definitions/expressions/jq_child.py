"""The child process that runs real jq. `jq_pool` starts it as a script; it imports nothing of this package.

Arguments: its memory limit in bytes, the processor time of one call in seconds, and the folders that hold the
modules `jq` and `orjson`. Requests and answers are frames on stdin and stdout: four bytes of length, then the
payload. A request is a line of JSON (`op`, `source`, `names`); for `op: run` the JSON of
`{"v": variables, "d": value}` follows. An answer starts with one of the letters below; after V comes JSON,
after E and I a message. The process ends at the end of stdin.

Numbers keep their digits: jq keeps the text of a number that it only passes through, and writes it with
`tojson`. The Python binding would convert it to a double.
"""

import json
import os
import re
import resource
import signal
import struct
import sys
import time
from collections import OrderedDict
from contextlib import suppress
from decimal import Decimal
from typing import Any, BinaryIO

sys.path[:0] = sys.argv[3:]

import jq  # noqa: E402 -- found only in the folders given
import orjson  # noqa: E402

READY, VALUE, NOTHING, ERROR, LIMIT, INEXACT, OK = b"R", b"V", b"N", b"E", b"L", b"I", b"K"
LARGEST_OUTPUT = 1024 * 1024
PROGRAMS_KEPT = 256
NOBODY_UID = 65534
LARGEST_DOUBLE = sys.float_info.max
DIGITS_SHOWN = 40
NEEDS_CARE = re.compile(r"(?<![.0-9])[0-9]{16,}\.|[0-9]{19}|[0-9]E")
"""Numbers that may have more than 64 bits, and those that the source writes with a point or an exponent."""

HIDDEN = (
    *("env", "input", "inputs", "input_filename", "input_line_number", "debug", "stderr", "halt"),
    *("halt_error", "get_search_list", "modulemeta"),
)
HIDDEN_WITH_ARGUMENT = ("debug", "halt_error")
PRELUDE = "".join(
    [f'def {name}: error("{name} is not available"); ' for name in HIDDEN]
    + [f'def {name}(f): error("{name} is not available"); ' for name in HIDDEN_WITH_ARGUMENT]
)

AS_TEXT = 'error(if type == "string" then . else "(not a string): \\(tojson)" end)'
"""Raises an error again. An error that is not text becomes text, with all digits of its numbers."""


def confine(memory: int) -> None:
    """Gives up all that jq does not need: memory, files, processes, the privileges of root."""
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    if os.geteuid() == 0:
        with suppress(OSError):  # a container may forbid a change of the user
            os.setgroups([])
            os.setgid(NOBODY_UID)
            os.setuid(NOBODY_UID)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))  # stdin, stdout and stderr only


class Programs:
    """A cache of compiled programs, least recently used first out: compiling takes milliseconds."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Any] = OrderedDict()

    def compiled(self, source: str, names: list[str]) -> Any:
        """Returns the compiled program. Raises ValueError when the source is not valid jq."""
        key = " ".join([*names, "|", source])
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        # The source alone first: the brackets around it must not make `1) | (2` valid.
        jq.compile(source, args=dict.fromkeys(names))
        program = self._kept[key] = jq.compile(wrapped(source, names))
        if len(self._kept) > PROGRAMS_KEPT:
            self._kept.popitem(last=False)
        return program


def wrapped(source: str, names: list[str]) -> str:
    """Returns the program that runs an expression and gives its output as JSON text.

    The variables come with the input, because the binding can bind them at compile time only.
    """
    bound = "".join(f"$__w.v.{name} as ${name} | " for name in names)
    # The caller passes the time, and the local time zone is UTC: evaluating again gives the same.
    now = "def now: $__now; " if "__now" in names else ""
    body = f"try (\n{source}\n) catch {AS_TEXT} | tojson"
    return f"{PRELUDE}{{}} as $ENV | . as $__w | {bound}{now}$__w.d | {body}"


def answer(request: bytes, programs: Programs) -> bytes:
    """Returns the answer to one request."""
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


class InexactNumber(Exception):
    """A number beyond 2^53 whose digits JSON cannot keep here; the text names it."""


def encoded(text: str) -> bytes:
    """Returns the answer with an output, given its JSON text."""
    try:
        if NEEDS_CARE.search(text):
            text = json.dumps(json.loads(text, parse_int=integer, parse_float=double), ensure_ascii=False)
    except InexactNumber as error:
        return INEXACT + str(error).encode()
    except RecursionError:
        return LIMIT
    encoded_text = text.encode()
    return VALUE + encoded_text if len(encoded_text) <= LARGEST_OUTPUT else LIMIT


def integer(digits: str) -> int | float:
    """Returns the number that plain digits mean, exactly. Raises `InexactNumber`."""
    if len(digits) <= 20 and -(2**63) <= (exact := int(digits)) < 2**64:
        return exact
    rounded = float(digits)
    if Decimal(repr(rounded)) == Decimal(digits):  # as jq writes a double that it has computed
        return rounded
    raise inexact(digits)


def double(digits: str) -> int | float:
    """Returns the finite double nearest to a number with a point or an exponent; beyond 2^53, all its digits.

    Raises `InexactNumber`.
    """
    number = max(-LARGEST_DOUBLE, min(LARGEST_DOUBLE, float(digits)))
    if abs(number) < 2**53:
        # Data never comes with such an exponent below 1e16.
        return int(number) if "E" in digits and number.is_integer() else number
    if abs(number) == LARGEST_DOUBLE or Decimal(repr(number)) == (exact := Decimal(digits)):
        return number
    if exact == exact.to_integral_value() and -(2**63) <= exact < 2**64:
        return int(exact)
    raise inexact(digits)


def inexact(digits: str) -> InexactNumber:
    """Returns the error about a number. It shows the start of a long one."""
    return InexactNumber(digits if len(digits) <= DIGITS_SHOWN else digits[:DIGITS_SHOWN] + "...")


def serve(requests: BinaryIO, answers: BinaryIO, seconds: float) -> None:
    """Answers requests until stdin ends.

    The alarm ends this process even if its parent has died. It counts processor time: a busy machine must not
    change what an expression gives. It has no Python handler, which could not run during a call of jq.
    """
    programs = Programs()
    send(answers, READY)
    while len(size := requests.read(4)) == 4:
        request = requests.read(struct.unpack(">I", size)[0])
        signal.setitimer(signal.ITIMER_PROF, seconds)
        reply = answer(request, programs)
        signal.setitimer(signal.ITIMER_PROF, 0)
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
