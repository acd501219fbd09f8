"""The program, run as users run it, and definitions for it."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from unspool.cli.main import call

PATIENT = ("--timeout", "60")
"""Options of an operation: the machine may be busy."""

GREET = """\
document:
  dsl: '1.0.3'
  namespace: shop
  name: greet
  version: '1.0.0'
do:
  - hello:
      set:
        greeting: ${ "Hello " + .name }
"""

REFUSE = """\
document:
  dsl: '1.0.3'
  namespace: shop
  name: refuse
  version: '1.0.0'
do:
  - refuse:
      raise:
        error:
          type: https://example.com/errors/refused
          status: 409
          title: Refused
          detail: not today
"""

SHELL = """\
document:
  dsl: '1.0.3'
  namespace: shop
  name: shell
  version: '1.0.0'
do:
  - echo:
      run:
        shell:
          command: echo hello
"""

SLEEP = """\
document:
  dsl: '1.0.3'
  namespace: shop
  name: sleep
  version: '1.0.0'
do:
  - first:
      set:
        begun: true
  - nap:
      wait:
        minutes: 10
"""

INVALID = """\
document:
  dsl: '1.0.3'
  namespace: shop
  name: broken
  version: '1.0.0'
do:
  - hello:
      sett:
        greeting: hello
"""

DEFINITIONS = {"greet": GREET, "refuse": REFUSE, "shell": SHELL, "sleep": SLEEP, "invalid": INVALID}


@dataclass(frozen=True)
class Result:
    """The result of a call of the program."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)

    @property
    def lines(self) -> list[Any]:
        """The JSON objects of a list or stream."""
        return [json.loads(line) for line in self.stdout.splitlines()]

    @property
    def problem(self) -> Any:
        """The last line on standard error, as JSON."""
        return json.loads(self.stderr.splitlines()[-1])


Unspool = Callable[..., Result]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with the definitions; no settings are set."""
    for name in [name for name in os.environ if name.startswith("UNSPOOL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    for name, text in DEFINITIONS.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


class Program(subprocess.Popen[str]):
    """A program that does not outlive the failure of its test."""

    def __exit__(self, kind: type[BaseException] | None, *rest: Any) -> None:
        if kind is not None:
            self.kill()
        super().__exit__(kind, *rest)


@pytest.fixture
def start_program(home: Path) -> Callable[..., Program]:
    """Starts the program as a separate process."""

    def begin(*arguments: str, **environment: str) -> Program:
        return Program(
            [sys.executable, "-m", "unspool.cli", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=home,
            env={**os.environ, **environment},
        )

    return begin


@pytest.fixture
def program(start_program: Callable[..., Program]) -> Unspool:
    """Runs the program as a separate process, to its end."""

    def run(*arguments: str, stdin: str = "", **environment: str) -> Result:
        with start_program(*arguments, **environment) as process:
            stdout, stderr = process.communicate(stdin, timeout=240)
            return Result(process.returncode, stdout, stderr)

    return run


@pytest.fixture
def unspool(home: Path, capfd: pytest.CaptureFixture[str]) -> Unspool:
    """Calls the program inside this process, which is faster. Not for commands that log."""

    def run(*arguments: str) -> Result:
        capfd.readouterr()
        code = call(arguments)
        stdout, stderr = capfd.readouterr()
        return Result(code, stdout, stderr)

    return run


@pytest.fixture
def run_coroutine() -> Callable[[Any], Any]:
    """Runs a coroutine in a test that calls the program in its process.

    The program has its own event loop.
    """
    return asyncio.run
