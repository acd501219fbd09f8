"""Real jq in guarded child processes.

jq in this process could read its environment and files, holds the GIL while it runs, and ends the process
when memory runs out. A child has no environment, no files, little memory and a time limit. The pool kills a
child that exceeds it; the next call starts a new one (about 50 ms).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import orjson

from unspool.definitions.expressions import jq_messages
from unspool.definitions.expressions.errors import EvaluationError, ExpressionError, LimitExceeded
from unspool.definitions.expressions.fair_pool import FairPool
from unspool.definitions.expressions.jq_integers import jq_program
from unspool.definitions.expressions.jq_process import JqProcess, JqProcessEnded
from unspool.definitions.expressions.lexer import NOW, tokenize, variables
from unspool.definitions.json_value import Json

_NO_TENANT = ""


class JqPool:
    """Runs expressions in up to `size` child processes, which it starts when needed. Thread-safe.

    Calls wait for a free child. Tenants take children in turn (`for_tenant`). `check` has a child of its own:
    the compilation of a definition does not wait for slow expressions.
    """

    def __init__(self, size: int = 2, seconds: float = 1.0, memory_bytes: int = 512 * 1024 * 1024) -> None:
        """Takes the number of children, and the limits of one call: seconds of processor time, and bytes."""
        self._seconds = seconds
        self._memory_bytes = memory_bytes
        self._size = size
        self._closed = False
        self._children = FairPool[JqProcess | None]([None] * size)
        self._checkers = FairPool[JqProcess | None]([None])

    def for_tenant(self, tenant: str) -> "TenantJqRunner":
        """Returns a runner on these children for the calls of a tenant; tenants are served in turn."""
        return TenantJqRunner(self, tenant)

    def run(self, source: str, value: Json, variables: Mapping[str, Json], tenant: str = _NO_TENANT) -> Json:
        """See `JqRunner`.

        Raises:
            EvaluationError: jq reports an error, would change the digits of an integer, or the result has a
                number whose digits cannot be kept.
            LimitExceeded: the call takes too much time or memory, or the result has more than a mebibyte.
        """
        try:
            body = orjson.dumps({"v": dict(variables), "d": value})
        except TypeError as error:
            raise ExpressionError(f"jq cannot read the data as JSON: {error}") from None
        program = jq_program(source)
        form = program.for_data(body)
        reply = self._ask(self._children, _request("run", form, variables) + body, tenant)
        if form is program.source and reply[:1] == b"V" and (exact := program.after(reply)) is not None:
            reply = self._ask(self._children, _request("run", exact, variables) + body, tenant)
        if reply[:1] == b"V":
            return _decoded(reply[1:])
        if reply[:1] == b"E":
            raise EvaluationError(jq_messages.of_evaluation(reply[1:].decode()))
        if reply[:1] == b"I":
            number = reply[1:].decode()
            raise EvaluationError(f"the number {number} cannot be kept exact; pass it as a string")
        if reply[:1] == b"L":
            raise _result_too_large()
        return None

    def check(self, source: str, known: frozenset[str] | None = None, tenant: str = _NO_TENANT) -> str | None:
        """See `JqRunner`."""
        try:
            named = variables(tokenize(source))
            bound = named if known is None else named & (known | {NOW})
            reply = self._ask(self._checkers, _request("check", source, bound), tenant)
        except ExpressionError as error:
            return str(error)
        return jq_messages.of_compilation(reply[1:].decode()) if reply[:1] == b"E" else None

    def close(self) -> None:
        """Ends the children after the calls in progress."""
        if self._closed:
            return
        self._closed = True
        for children, size in ((self._children, self._size), (self._checkers, 1)):
            for _ in range(size):
                child = children.take(_NO_TENANT)
                if child is not None:
                    child.end()
            for _ in range(size):
                children.put_back(_NO_TENANT, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, children: FairPool[JqProcess | None], request: bytes, tenant: str) -> bytes:
        child = children.take(tenant)
        try:
            if self._closed:
                raise ExpressionError("the pool of jq processes is closed")
            if child is None or child.worn_out():
                child = self._replaced(child)
            return child.ask(request, self._seconds)
        except JqProcessEnded as ended:
            child = None
            raise LimitExceeded(str(ended)) from None
        finally:
            children.put_back(tenant, child)

    def _replaced(self, child: JqProcess | None) -> JqProcess:
        if child is not None:
            child.end()
        try:
            return JqProcess(self._memory_bytes, self._seconds)
        except JqProcessEnded:
            raise ExpressionError("the process for jq does not start") from None


@dataclass(frozen=True, slots=True)
class TenantJqRunner:
    """The pool as one tenant uses it: a `JqRunner`."""

    _pool: JqPool
    _tenant: str

    def for_tenant(self, tenant: str) -> "TenantJqRunner":
        """See `JqRunner`."""
        return self._pool.for_tenant(tenant)

    def run(self, source: str, value: Json, variables: Mapping[str, Json]) -> Json:
        """See `JqRunner`."""
        return self._pool.run(source, value, variables, self._tenant)

    def check(self, source: str, known: frozenset[str] | None = None) -> str | None:
        """See `JqRunner`."""
        return self._pool.check(source, known, self._tenant)

    def close(self) -> None:
        """Ends the children of the pool, which all tenants use."""
        self._pool.close()


def _request(op: str, source: str, names: Mapping[str, Json] | frozenset[str]) -> bytes:
    return orjson.dumps({"op": op, "source": source, "names": sorted(names)}) + b"\n"


def _decoded(text: bytes) -> Json:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:  # too deep; jq writes nothing else that is not JSON
        raise _result_too_large() from None


def _result_too_large() -> LimitExceeded:
    return LimitExceeded("a result too large or too deep")
