"""Each planted bug makes the tests fail that claim to catch it, and for the reason that they name."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.chaos.planted_bugs import BUGS, Bug, Claim

ROOT = Path(__file__).parents[2]
CLAIMS = [(bug, claim) for bug in BUGS for claim in bug.claims]
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


def run_test(test: str, store: str, source: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs a test with the packages of a folder instead of the installed ones."""
    folders = [str(source / package) for package in PACKAGES]
    return subprocess.run(
        [
            *(sys.executable, "-m", "pytest", test, "-k", store, "-m", "not planted"),
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
            "COLUMNS": "1000",
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("bug", BUGS, ids=[bug.name for bug in BUGS])
def test_the_source_has_the_text_that_a_bug_replaces(bug: Bug) -> None:
    assert (ROOT / bug.file).read_text().count(bug.old) == 1


@pytest.mark.planted
@pytest.mark.timeout(1200)  # on a machine with other work
@pytest.mark.parametrize(("bug", "claim"), CLAIMS, ids=[f"{bug.name} - {claim.id}" for bug, claim in CLAIMS])
def test_a_planted_bug_is_caught(bug: Bug, claim: Claim, tmp_path: Path) -> None:
    source = tmp_path / "source"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, source / package)
    bug.plant(source)
    result = run_test(claim.id, bug.store, source, tmp_path / "run")
    assert result.returncode == pytest.ExitCode.TESTS_FAILED, result.stdout[-3000:]
    assert claim.is_shown_in(result.stdout), f"not for the reason {claim.failure}:\n{result.stdout[-6000:]}"
