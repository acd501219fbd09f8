"""Runs all cases and writes `docs/conformance.md`: `python -m tests.conformance`."""

import sys
from pathlib import Path

import pytest
from tests.conformance.page import render

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"


class Recorder:
    """A pytest plugin that remembers which cases failed, and on which engines."""

    def __init__(self) -> None:
        self.failed: dict[str, list[str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            engine, _, case = report.nodeid.partition("[")[2].rstrip("]").partition("-")
            self.failed.setdefault(case, []).append(engine)

    @property
    def results(self) -> dict[str, str]:
        return {case: f"fails ({', '.join(dict.fromkeys(engines))})" for case, engines in self.failed.items()}


def main() -> int:
    recorder = Recorder()
    code = pytest.main(["-q", str(Path(__file__).with_name("test_cases.py"))], plugins=[recorder])
    if code in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
        PAGE.write_text(render(recorder.results))
    return code


if __name__ == "__main__":
    sys.exit(main())
