import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

import pytest
from tests import processes
from tests.processes import runs

from unspool.definitions.expressions import EvaluationError, ExpressionCompiler, ExpressionError, JqPool
from unspool.definitions.json_value import Json


def eventually(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def children(parent: int | None = None) -> set[int]:
    return {pid for pid in processes.children(parent or os.getpid()) if runs(pid)}


def test_the_first_output_with_variables(jq: JqPool) -> None:
    assert jq.run(".a + $b, 9", {"a": 1}, {"b": 2, "c": None}) == 3
    assert jq.run(".a # the end", {"a": "x"}, {}) == "x"
    assert jq.run("empty", None, {}) is None


def test_check(jq: JqPool) -> None:
    assert jq.check("def f: $x; f") is None
    assert jq.check("1) | (2") is not None
    assert "nothing/0 is not defined" in str(jq.check("nothing"))


@pytest.mark.parametrize("source", ["1) | (2", "1) as $x | (env", ". | ", "1 } {"])
def test_a_program_cannot_leave_its_brackets(jq: JqPool, source: str) -> None:
    with pytest.raises(ExpressionError):
        jq.run(source, None, {})


@pytest.mark.parametrize("name", ["env", "input", "inputs", "debug", "stderr", "halt", "halt_error"])
def test_the_child_hides_the_process_as_well(jq: JqPool, name: str) -> None:
    with pytest.raises(ExpressionError, match=f"{name} is not available"):
        jq.run(f"[{name}]", {}, {})


def test_there_is_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNSPOOL_SECRET", "hunter2")
    before = children()
    with JqPool(size=1) as pool:
        assert pool.run("$ENV", {}, {}) == {}
        assert pool.run('"\\($ENV.UNSPOOL_SECRET)"', {}, {}) == "null"
        (child,) = children() - before
        assert b"hunter2" not in Path(f"/proc/{child}/environ").read_bytes()


def test_no_file_can_be_read(jq: JqPool, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"auth": "hunter2"}))
    (tmp_path / "code.jq").write_text('def secret: "hunter2";')
    tmp_path.chmod(0o755)
    for source in (
        f'import "config" as $p {{"search":"{tmp_path}"}}; $p',
        f'import "code" as c {{"search":"{tmp_path}"}}; c::secret',
        f'include "code" {{"search":"{tmp_path}"}}; secret',
    ):
        with pytest.raises(ExpressionError) as raised:
            jq.run(source, None, {})
        assert "hunter2" not in str(raised.value)


def test_results_are_limited(jq: JqPool) -> None:
    assert len(jq.run('"x" * 1000000', None, {})) == 1_000_000
    with pytest.raises(ExpressionError, match="limit exceeded"):
        jq.run('"x" * 1100000', None, {})
    with pytest.raises(ExpressionError, match="limit exceeded"):
        jq.run("reduce range(2000) as $i (null; [.])", None, {})


def test_data_that_is_not_json_is_refused(jq: JqPool) -> None:
    with pytest.raises(ExpressionError, match="as JSON"):
        jq.run(".", {"a": object()}, {})
    with pytest.raises(ExpressionError, match="as JSON"):
        jq.run(".", 2**70, {})


def test_a_computed_number_beyond_64_bits_comes_back_as_a_float(jq: JqPool) -> None:
    assert jq.run("1000000000000 * 1000000000000", None, {}) == 1e24


def through(source: str) -> str:
    """Returns an expression with the same result that runs in real jq, because of its regular expression."""
    return f'("" | test("x") | empty), ({source})'


def evaluated(jq: JqPool, source: str, value: Json) -> Json:
    expression = ExpressionCompiler(jq=jq).expression(through(source))
    assert expression.guarded
    return expression.evaluate(value, {"big": BIG})


BIG = 9007199254740993123


@pytest.mark.parametrize(
    ("source", "result"),
    [
        (".", BIG),
        ("-.", -BIG),
        ('{id: ., day: (0 | strftime("%F"))}', {"id": BIG, "day": "1970-01-01"}),
        ("$big", BIG),
        ("[9007199254740993125, -9007199254740993125]", [9007199254740993125, -9007199254740993125]),
        ("[., 9007199254740993124] | sort", [BIG, BIG + 1]),
        ("[., 9007199254740993124, .] | unique", [BIG, BIG + 1]),
        ("[., 9007199254740993124] | group_by(.)", [[BIG], [BIG + 1]]),
        ("[., 9007199254740993124] | max", BIG + 1),
        (". == 9007199254740993124", False),
        ("tojson", str(BIG)),
        ("tostring", str(BIG)),
        ("{(tostring): 1} | keys", [str(BIG)]),
        ("tojson | fromjson", BIG),
        ("tostring | tonumber", BIG),
        ("{a: {b: .}} | del(.a.c) | walk(.) | .a.b |= .", {"a": {"b": BIG}}),
        ("[limit(2; repeat(.))]", [BIG, BIG]),
        ("reduce . as $x ([]; . + [$x])", [BIG]),
    ],
)
def test_an_integer_of_64_bits_keeps_its_digits(jq: JqPool, source: str, result: Json) -> None:
    # inventory D13
    assert evaluated(jq, source, BIG) == result


@pytest.mark.parametrize(
    "number", [2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), 2**64 - 1, 9007199254740993000]
)
def test_so_do_those_at_the_edges(jq: JqPool, number: int) -> None:
    result = evaluated(jq, "[.]", [number])
    assert result == [[number]]
    assert type(result[0][0]) is int


@pytest.mark.parametrize(
    "source",
    ["12345678901234567890123", "[-12345678901234567890123]", '{a: "12345678901234567890123" | tonumber}'],
)
def test_a_longer_integer_that_is_not_computed_is_an_error(jq: JqPool, source: str) -> None:
    with pytest.raises(EvaluationError, match=r"number -?12345678901234567890123 .*pass it as a string"):
        evaluated(jq, source, None)


def test_a_message_shows_the_start_of_a_very_long_integer(jq: JqPool) -> None:
    with pytest.raises(EvaluationError, match=r"number 1{40}\.\.\. cannot"):
        evaluated(jq, '"1" * 5000 | tonumber', None)


@pytest.mark.parametrize(
    ("source", "value", "result"),
    [
        (".", 1.0, "1.0"),
        (". + 0", 1.0, "1"),
        (".", 1, "1"),
        (".", 0.1, "0.1"),
        (".", 1e17, "1e+17"),
        (".", 5e-324, "5e-324"),
        (".", 1.5, "1.5"),
        ("1e3", None, "1000"),
        ("1e1000", None, "1.7976931348623157e+308"),
        ("-1e1000", None, "-1.7976931348623157e+308"),
        ("nan", None, "null"),
    ],
)
def test_other_numbers_are_those_of_jq(jq: JqPool, source: str, value: Json, result: str) -> None:
    assert json.dumps(evaluated(jq, source, value)) == result


def test_digits_in_text_are_text(jq: JqPool) -> None:
    text = "12345678901234567890123, 1E+3 \u20ac \U0001f600"
    assert evaluated(jq, "[., 12345678901234567890]", text) == [text, 12345678901234567890]


def test_a_killed_child_is_replaced() -> None:
    with JqPool(size=1) as pool:
        before = children()
        pool.run(".", None, {})
        (child,) = children() - before
        os.kill(child, signal.SIGKILL)
        eventually(lambda: not runs(child))
        assert pool.run(". + 1", 1, {}) == 2


def test_threads_share_the_children_and_wait_for_them() -> None:
    before = children()
    with JqPool(size=2) as pool, ThreadPoolExecutor(8) as threads:
        results = threads.map(lambda number: pool.run("[.] | add", number, {}), range(200))
        assert list(results) == list(range(200))
        assert 1 <= len(children() - before) <= 2


SLOW = "reduce range(30000) as $i (0; . + 1)"
LONG = "reduce range(2000000) as $i (0; . + 1)"


class Callers:
    """Calls of tenants on threads, and the order in which they end."""

    def __init__(self, pool: JqPool, threads: ThreadPoolExecutor) -> None:
        self.ended: list[str] = []
        self._begun: list[str] = []
        self._calls: list[Future[None]] = []
        self._pool = pool
        self._threads = threads

    def call(self, tenant: str, source: str) -> None:
        """Returns when the thread of the call runs."""
        self._calls.append(self._threads.submit(self._run, tenant, source))
        eventually(lambda: len(self._begun) == len(self._calls))

    def wait(self) -> None:
        wait(self._calls)
        assert all(call.exception() is None for call in self._calls)

    def _run(self, tenant: str, source: str) -> None:
        self._begun.append(tenant)
        self._pool.for_tenant(tenant).run(source, None, {})
        self.ended.append(tenant)


@pytest.mark.parametrize("size", [1, 2])
def test_a_tenant_with_many_slow_expressions_delays_another_by_those_in_flight(size: int) -> None:
    # DESIGN §10
    with JqPool(size=size, seconds=60.0) as pool, ThreadPoolExecutor(12) as threads:
        callers = Callers(pool, threads)
        for source in [LONG] * size + [SLOW] * 8:
            callers.call("busy", source)
        callers.call("other", SLOW)
        callers.wait()
    # One child gives its next turn to the other tenant. A second child, which a busy machine may run more
    # often, ends some calls of the busy tenant meanwhile, but not all of them.
    assert callers.ended.index("other") < (2 if size == 1 else size + 4)


def test_tenants_that_wait_share_the_children() -> None:
    with JqPool(size=1, seconds=60.0) as pool, ThreadPoolExecutor(12) as threads:
        callers = Callers(pool, threads)
        callers.call("a", LONG)
        for tenant in "aaaabbbb":
            callers.call(tenant, SLOW)
        callers.wait()
    assert "".join(callers.ended) == "ababababa"


def test_a_check_does_not_wait_for_a_slow_expression() -> None:
    with JqPool(size=1, seconds=60.0) as pool, ThreadPoolExecutor(1) as threads:
        callers = Callers(pool, threads)
        callers.call("a", LONG)
        assert pool.check(".a | test(1; 2; 3)") is not None
        assert callers.ended == []
        callers.wait()


def test_a_child_that_cannot_start_is_said_to_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with JqPool() as pool, pytest.raises(ExpressionError, match="does not start"):
        pool.run(".", None, {})


def test_a_runaway_does_not_keep_the_interpreter_lock() -> None:
    with JqPool(size=1, seconds=0.5) as pool, ThreadPoolExecutor(1) as threads:
        pool.run(".", None, {})
        runaway = threads.submit(pool.run, "def f: f; f", None, {})
        turns = 0
        while not runaway.done():
            time.sleep(0.01)
            turns += 1
        assert turns > 10
        with pytest.raises(ExpressionError, match="limit exceeded"):
            runaway.result()


def test_time_in_which_a_child_cannot_run_does_not_count() -> None:
    before = children()
    with JqPool(size=1, seconds=2.0) as pool, ThreadPoolExecutor(1) as threads:
        pool.run(".", None, {})
        (child,) = children() - before
        os.kill(child, signal.SIGSTOP)
        waiting = threads.submit(pool.run, ". + 1", 1, {})
        time.sleep(2.5)
        os.kill(child, signal.SIGCONT)
        assert waiting.result() == 2


def test_a_child_that_does_not_run_again_is_given_up() -> None:
    before = children()
    with JqPool(size=1) as pool:
        pool.run(".", None, {})
        (child,) = children() - before
        os.kill(child, signal.SIGSTOP)
        with pytest.raises(ExpressionError, match="too much time"):
            pool.run(". + 1", 1, {})
        assert pool.run(". + 1", 1, {}) == 2


def test_close_ends_the_children_and_leaves_nothing() -> None:
    before = children()
    pool = JqPool(size=1)
    pool.run(".", None, {})
    (child,) = children() - before
    assert os.readlink(f"/proc/{child}/cwd").endswith(" (deleted)")  # noqa: PTH115 -- no path
    pool.close()
    pool.close()
    assert not children() - before
    with pytest.raises(ExpressionError):
        pool.run(".", None, {})


PARENT = """
import sys, time
from unspool.definitions.expressions import JqPool

pool = JqPool(size=1, seconds=5.0)
print(pool.run(".", "ready", {}), flush=True)
pool.run(sys.argv[1], None, {})
time.sleep(60)
"""


@pytest.mark.parametrize("source", [".", "def f: f; f"])
def test_a_child_does_not_outlive_its_parent(source: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, source], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        (child,) = children(parent.pid)
        parent.kill()
    eventually(lambda: not runs(child))
