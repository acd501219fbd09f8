"""A clean directory for a reader: with the programs of this environment, or a fresh clone."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.conftest import _executable
from tests.docs.markdown import ROOT
from tests.docs.reader import PORTS, Reader
from tests.ports import free_port

MakeReader = Callable[..., Reader]


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the Redis of the tests, on the port in `REDIS_PORT`, their Python, and stand-ins."""
    folder = tmp_path_factory.mktemp("programs")
    _write_program(folder / "redis-server", f'{_executable()} --port "$REDIS_PORT"')
    _write_program(folder / "python3", str(Path(sys._base_executable)))  # type: ignore[attr-defined]
    client = Path(_executable()).with_name("redis-cli")
    if client.exists():
        _write_program(folder / "redis-cli", f'{client} -p "$REDIS_PORT"')
    tests = ROOT / "tests/docs"
    _write_program(folder / "claude", f"sh {tests / 'agent.sh'}")
    _write_program(folder / "make-dead-letter", f"{sys.executable} {tests / 'dead_letter.py'}")
    if shutil.which("sqlite3") is None:
        _write_program(folder / "sqlite3", f"{sys.executable} {tests / 'sqlite_shell.py'}")
    return folder


def _write_program(path: Path, command: str) -> None:
    path.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    path.chmod(0o755)


@pytest.fixture
def make_reader(programs: Path, tmp_path: Path) -> Iterator[MakeReader]:
    """Makes a reader in a directory, who finds what is in `installed`, or installs it."""
    readers = []

    def make(folder: Path, installed: Path | None) -> Reader:
        scratch = tmp_path / f"reader-{len(readers)}"
        home = scratch / "home"
        home.mkdir(parents=True)
        ports = {port: str(free_port()) for port in PORTS}
        paths = [programs, *([installed] if installed else []), os.environ["PATH"]]
        environment = {
            **{name: value for name, value in os.environ.items() if name.startswith("PIP_")},
            "PIP_CACHE_DIR": os.environ.get("PIP_CACHE_DIR", str(Path.home() / ".cache/pip")),
            "PATH": os.pathsep.join(map(str, paths)),
            "HOME": str(home),
            "TERM": "xterm",
            "NO_COLOR": "1",
            "LANG": "C.UTF-8",
            "UNSPOOL_API_PORT": ports["8080"],
            "REDIS_PORT": ports["6379"],
            "PYTEST_ADDOPTS": "-p no:cacheprovider -p no:asyncio",  # a plugin of our tests, which warns here
        }
        readers.append(Reader(folder, environment, ports, scratch, installs=installed is None))
        return readers[-1]

    yield make
    for reader in readers:
        reader.close()


@pytest.fixture
def reader(make_reader: MakeReader, tmp_path: Path) -> Reader:
    """A reader in a directory that has the examples, with the environment of the tests."""
    folder = tmp_path / "clone"
    folder.mkdir()
    (folder / "examples").symlink_to(ROOT / "examples")
    installed = Path(sys.executable).parent
    (folder / ".venv").symlink_to(installed.parent)
    return make_reader(folder, installed)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The repository as a newcomer has it, without an environment."""
    folder = tmp_path / "unspool"
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(".*", "__pycache__", "node_modules"))
    return folder
