"""`run: script` in JavaScript, with Node and with the embedded engine (inventory I60)."""

import asyncio
import contextlib
import os
import shutil
import time
from pathlib import Path

import pytest

from unspool.executor.outcome import Completed, Faulted
from unspool.executor.settings import ExecutorSettings

SLEEPS = "await new Promise((done) => setTimeout(done, 60000))"


def engines(**settings: object) -> pytest.MarkDecorator:
    """Runs a test with each engine."""
    absent = [pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")]
    both = [
        pytest.param(
            ExecutorSettings(allow="script", script_javascript=name, **settings), id=name, marks=marks
        )
        for name, marks in (("node", absent), ("quickjs", []))
    ]
    return pytest.mark.parametrize("script", both, indirect=True)


def kind(outcome: Faulted) -> tuple[str, int]:
    assert isinstance(outcome, Faulted), outcome
    return outcome.error.type.rpartition("/")[2], outcome.error.status


@engines()
async def test_arguments_stdin_and_environment(script) -> None:
    """As in the example of the specification"""
    code = """
        import { readFileSync } from 'node:fs';
        const stdin = readFileSync(process.stdin.fd, 'utf8');
        console.log('stdin > ', stdin)
        const [_, __, arg] = process.argv;
        console.log('arg > ', arg)
        console.log('env > ', process.env.foo, Object.keys(process.env).includes('REDIS_PASSWORD'));
    """
    os.environ["REDIS_PASSWORD"] = "s3cret"
    try:
        outcome = await script(code, "js", stdin="Grüße", arguments=["hello"], environment={"foo": "bar"})
    finally:
        del os.environ["REDIS_PASSWORD"]
    assert outcome == Completed("stdin >  Grüße\narg >  hello\nenv >  bar false")


USES = {
    "template": ("console.log(`${1 + 1}`)", "2"),
    "require": ("const fs = require('fs'); console.log(fs.readFileSync(0).toString() + '.')", "in."),
    "stream": (
        "(async () => { let all = ''; for await (const s of process.stdin) all += s; console.log(all) })()",
        "in",
    ),
    "imports": (
        "import fs from 'fs'\nimport * as p from 'process'\nconsole.log(typeof fs.readFileSync, p.argv[2])",
        "function one",
    ),
    "names": (
        "import {\n  argv,\n  env as e\n} from 'process';\nconsole.log(argv.length, typeof e)",
        "3 object",
    ),
    "events": (
        "process.stdin.setEncoding('utf8').on('data', console.log).on('end', () => console.log(1))",
        "in\n1",
    ),
    "await": (
        "const answer = await new Promise((done) => setTimeout(done, 5, 42));\nconsole.log(answer)",
        "42",
    ),
    "timers": ("setTimeout(() => console.log('b'), 1000); setImmediate(() => console.log('a'))", "a\nb"),
    "interval": (
        "let n = 0; const i = setInterval(() => { console.log(++n); if (n === 3) clearInterval(i); }, 1)",
        "1\n2\n3",
    ),
    "return": ("if (true) { console.log('before'); return; }\nconsole.log('after')", "before"),
    "write": ("process.stdout.write('no line break')", "no line break"),
    "objects": (
        "console.log({ a: 1, 'b-c': [1, 'x', null], d: { e: { f: {} } } }, [], {}, 'text', undefined, -0)",
        "{ a: 1, 'b-c': [ 1, 'x', null ], d: { e: { f: {} } } } [] {} text undefined -0",
    ),
    "formats": ("console.log('%s is %d, %j %%', 'a', 1.5, { b: 2 }, 'rest')", 'a is 1.5, {"b":2} % rest'),
    "values": (
        "console.log(new Map([['a', 1]]), new Set(['b']), 1n, /x/g, new Date(0), () => 1)",
        "Map(1) { 'a' => 1 } Set(1) { 'b' } 1n /x/g 1970-01-01T00:00:00.000Z [Function (anonymous)]",
    ),
    "language": (
        "console.log([3, 1].toSorted(), 'a'.at(-1), Object.hasOwn({ b: 1 }, 'b'), [1, 2].findLast((x) => x))",
        "[ 1, 3 ] a true 2",
    ),
}


@engines()
@pytest.mark.parametrize(("code", "output"), USES.values(), ids=USES)
async def test_what_scripts_use(script, code, output) -> None:
    assert await script(code, "js", stdin="in", arguments=["one"]) == Completed(output)


@engines()
async def test_arguments_by_name_are_variables_too(script) -> None:
    """As in the example of a custom function: an argument by name, and a `return` outside of functions"""
    code = """
        function validateEmail(email) { return /^[a-zA-Z0-9._-]+@[a-zA-Z0-9.-]+$/.test(email); }
        const argv = process.argv.slice(2, 4);
        console.log(JSON.stringify({ isValid: validateEmail(emailAddress), tags, argv }));
        return { isValid: true };
    """
    arguments = {"emailAddress": "a@b.c", "tags": ["x"], "process": "no", "__proto__": 1, "a b": None}
    outcome = await script(code, "js", arguments=arguments)
    assert outcome == Completed('{"isValid":true,"tags":["x"],"argv":["--emailAddress","a@b.c"]}')
    shadowed = await script("const emailAddress = 1; console.log(emailAddress)", "js", arguments=arguments)
    assert shadowed == Completed("1")


@engines()
async def test_hostile_values_are_not_code(script) -> None:
    values = ["'); process.exit(3); ('", "--help", "\u2028", "${1}", "😀"]
    outcome = await script("console.log(JSON.stringify(process.argv.slice(2)))", "js", arguments=values)
    assert outcome == Completed('["\'); process.exit(3); (\'","--help","\u2028","${1}","😀"]')


@engines()
@pytest.mark.parametrize(
    "code", ["process.exit(7)", "process.exitCode = 7", "try { process.exit(7) } finally { while (true) {} }"]
)
async def test_the_exit_code(script, code) -> None:
    assert await script(code, "js", **{"return": "code"}) == Completed(7)


@engines()
@pytest.mark.parametrize(
    "code",
    [
        "throw new TypeError('no')",
        "null.member",
        "await 1;\nthrow new TypeError('no')",
        "setTimeout(() => { throw new TypeError('no') }, 1)",
        "const = 1",
        "require('no-such-module')",
    ],
)
async def test_a_failure_is_a_runtime_error_with_its_text(script, code) -> None:
    """I57"""
    outcome = await script(code, "js")
    assert kind(outcome) == ("runtime", 500)
    assert outcome.error.detail.startswith("the script ended with exit code 1: ")
    assert "Error" in outcome.error.detail


@engines(shell_max_output_bytes=1000)
async def test_output_is_limited(script) -> None:
    outcome = await script("while (true) console.log('x'.repeat(100))", "js")
    assert outcome.error.title == "Output too large"


@engines(script_memory_mb=64)
async def test_memory_is_limited(script) -> None:
    outcome = await script("const all = []; while (true) all.push(new Array(10000).fill(all.length))", "js")
    assert kind(outcome) == ("runtime", 500)
    outcome = await script("console.log(new Uint8Array(500_000_000).fill(1).length)", "js")
    assert kind(outcome) == ("runtime", 500)


@engines(script_timeout_seconds=0.5, shell_kill_grace_seconds=0.1)
@pytest.mark.parametrize(
    "code",
    [
        "while (true) {}",
        "/(a+)+$/.test('a'.repeat(50) + 'b')",
        "await new Promise((r) => setTimeout(r, 60000))",
    ],
)
async def test_time_is_limited(script, code) -> None:
    began = time.monotonic()
    assert kind(await script(code, "js")) == ("timeout", 408)
    assert time.monotonic() - began < 30


@engines()
async def test_deep_recursion_is_an_error(script) -> None:
    assert kind(await script("(function f() { f() })()", "js")) == ("runtime", 500)


@engines()
async def test_a_cancelled_script_ends(script, eventually, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    task = asyncio.create_task(script(SLEEPS, "js", environment={"HERE": str(tmp_path)}))
    await eventually(lambda: ours(tmp_path), "the script runs")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await eventually(lambda: not ours(tmp_path), "its processes end")
    assert not list(tmp_path.iterdir())


def ours(directory: Path) -> list[str]:
    """The processes that work below a directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            if str(process.readlink()).startswith(f"{directory}/"):
                found.append(process.parent.name)
    return found


@pytest.mark.parametrize(
    "script", [ExecutorSettings(allow="script", script_javascript="no-such-node")], indirect=True
)
async def test_an_engine_that_does_not_exist_is_a_configuration_error(script) -> None:
    outcome = await script("1", "js")
    assert kind(outcome) == ("configuration", 400)
    assert "UNSPOOL_SCRIPT_JAVASCRIPT" in outcome.error.detail


async def test_without_node_the_embedded_engine_runs_scripts(script, monkeypatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert await script("console.log(process.version)", "js") == Completed("quickjs")


async def test_without_any_engine_the_error_says_what_to_install(script, monkeypatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr("unspool.executor.runs.javascript.find_spec", lambda name: None)
    outcome = await script("1", "js")
    assert kind(outcome) == ("configuration", 400)
    assert "pip install 'unspool[js]'" in outcome.error.detail
