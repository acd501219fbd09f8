"""Each planted bug makes the suites fail that claim to catch it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.chaos.planted_bugs import BUGS, Bug

ROOT = Path(__file__).parents[2]
CLAIMS = [(bug, suite) for bug in BUGS for suite in bug.suites]
PACKAGES = (
    "api",
    "cli",
    "dashboard",
    "diagram",
    "definitions",
    "eventstore",
    "executor",
    "timer_service",
    "worker",
)


def run_suite(suite: str, store: str, source: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs a suite with the packages of a folder instead of the installed ones."""
    folders = [str(source / package) for package in PACKAGES]
    return subprocess.run(
        [
            *(sys.executable, "-m", "pytest", suite, "-k", store, "-m", "not planted"),
            *("-x", "-q", "-n0", "-p", "no:cacheprovider", "--basetemp", str(folder)),
            *("--hypothesis-profile", "planted"),
            *("-o", f"pythonpath={' '.join(folders)}"),
        ],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(folders),
            "PYTHONDONTWRITEBYTECODE": "1",
            "UNSPOOL_CHAOS_EXECUTIONS": "60",
            "UNSPOOL_CHAOS_SECONDS": "45",
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("bug", BUGS, ids=[bug.name for bug in BUGS])
def test_the_source_has_the_text_that_a_bug_replaces(bug: Bug) -> None:
    assert (ROOT / bug.file).read_text().count(bug.old) == 1


@pytest.mark.planted
@pytest.mark.timeout(1200)  # a whole suite, on a machine with other work
@pytest.mark.parametrize(("bug", "suite"), CLAIMS, ids=[f"{bug.name} - {suite}" for bug, suite in CLAIMS])
def test_a_planted_bug_is_caught(bug: Bug, suite: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, source / package)
    bug.plant(source)
    result = run_suite(suite, bug.store, source, tmp_path / "run")
    assert result.returncode == pytest.ExitCode.TESTS_FAILED, result.stdout[-3000:]
    assert " failed" in result.stdout, result.stdout[-3000:]
