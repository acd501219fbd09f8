"""`python -m benchmarks` keeps its figures when a peer fails (docs/benchmarks.md)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SERVER_THAT_ENDS = """#!/bin/sh
cp {folder}/figures.json {folder}/seen-by-$$.json 2>/dev/null
exit 7
"""


PYTHON_THAT_HANGS = """#!/bin/sh
[ "$1" = -c ] && exit 0
trap '' TERM
echo $$ > {folder}/pid
exec sleep 600
"""


def program(file: Path, script: str) -> str:
    file.write_text(script)
    file.chmod(0o700)
    return str(file)


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )


@pytest.fixture
def peers(tmp_path: Path) -> dict[str, str]:
    """Peers that seem to be installed, but end as soon as they are started."""
    return {
        "RESTATE_SERVER": program(tmp_path / "restate", SERVER_THAT_ENDS.format(folder=tmp_path)),
        "UNSPOOL_BENCH_PEERS_PYTHON": program(tmp_path / "python", "#!/bin/sh\nexit 0\n"),
    }


def test_a_peer_that_fails_is_a_result_with_its_cause(tmp_path: Path, peers: dict[str, str]) -> None:
    figures = tmp_path / "figures.json"
    ended = run(
        *("benchmarks", "one step, Restate", "one step, DBOS sqlite", "--quick", "--peers"),
        *("--json", str(figures)),
        **peers,
    )
    assert ended.returncode == 1
    server_ended = {"failed": f"ProcessEnded: {peers['RESTATE_SERVER']} ended with exit code 7"}
    results = json.loads(figures.read_text())
    assert results == {
        "latency of one step, Restate": server_ended,
        "latency of one step, Restate no fsync": server_ended,
        "latency of one step, DBOS sqlite": {"failed": "AssertionError: DBOS did not start"},
    }
    assert [line.strip() for line in ended.stdout.splitlines()] == [
        text for name, result in results.items() for text in (name, f"failed: {result['failed']}")
    ]
    (seen,) = tmp_path.glob("seen-by-*")
    assert list(json.loads(seen.read_text())) == ["latency of one step, Restate"], "written at once"


def test_the_table_names_the_cause_of_a_failure(tmp_path: Path) -> None:
    runs = [
        {"steps, a": {"ms": 1.0}, "steps, b": {"failed": "it ended"}, "sleep, b": {"failed": "it ended"}},
        {"steps, a": {"failed": "too slow"}, "steps, b": {"failed": "again"}},
        {"steps, a": {"ms": 3.0}},
    ]
    files = [str(tmp_path / f"{number}.json") for number in range(len(runs))]
    for file, results in zip(files, runs, strict=True):
        Path(file).write_text(json.dumps(results))
    assert run("benchmarks.table", *files).stdout.splitlines() == [
        "| steps | ms |",
        "| --- | --: |",
        "| a | 2.0 |",
        "| b (failed: it ended) |  |",
        "",
        "| sleep |",
        "| --- |",
        "| b (failed: it ended) |",
    ]


def test_a_peer_that_hangs_is_ended_after_the_limit(tmp_path: Path) -> None:
    """The peer ignores SIGTERM, too."""
    figures = tmp_path / "figures.json"
    hanging = program(tmp_path / "python", PYTHON_THAT_HANGS.format(folder=tmp_path))
    ended = run(
        *("benchmarks", "one step, DBOS sqlite", "--quick", "--peers", "--limit", "1"),
        *("--json", str(figures)),
        UNSPOOL_BENCH_PEERS_PYTHON=hanging,
    )
    assert ended.returncode == 1
    cause = {"failed": "TimeoutError: no result after 1 s"}
    assert json.loads(figures.read_text()) == {"latency of one step, DBOS sqlite": cause}
    assert cause["failed"] in ended.stdout
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()
