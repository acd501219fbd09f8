"""The examples of tasks in the README run as they are pasted, and print what the README says."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PORT = "8099"
KINDS = {
    *("call", "do", "emit", "for", "fork", "listen", "raise", "set", "switch", "try", "wait"),
    *("run: shell", "run: script", "run: workflow"),
}


class Example(NamedTuple):
    """A block of the README and what comes of it."""

    kind: str
    command: str
    faults: bool
    result: str


EXAMPLES = [
    Example(kind, command, how != "Prints", result)
    for kind, command, how, result in re.findall(
        r"<summary><code>(.*?)</code>.*?</summary>\n\n```bash\n(.*?)```\n\n"
        r"(Prints|Ends with exit code 1 and the error) `([^`]*)`\n",
        (ROOT / "README.md").read_text(),
        re.DOTALL,
    )
]


def test_each_kind_of_task_has_an_example() -> None:
    text = (ROOT / "README.md").read_text()
    assert [example.kind for example in EXAMPLES] == re.findall(r"<summary><code>(.*?)</code>", text)
    assert {example.kind for example in EXAMPLES} == KINDS
    assert text.count("```bash") == len(EXAMPLES)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory in which a reader could be: it has the examples."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    return tmp_path


@pytest.fixture
def port() -> str:
    """A port that is free, instead of the one in the README."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return str(bound.getsockname()[1])


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.kind)
def test_an_example_does_what_the_readme_says(example: Example, folder: Path, port: str) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(folder), "XDG_DATA_HOME": str(folder / "data")}
    ready = f"until (: < /dev/tcp/127.0.0.1/{port}) 2>/dev/null; do sleep 0.05; done"
    command = example.command.replace(PORT, port).replace("sleep 2\n", f"{ready}\n")
    ended = subprocess.run(
        ["bash", "-c", f"trap 'kill $(jobs -p) 2>/dev/null' EXIT\n{command}"],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == int(example.faults), ended.stderr
    printed = (ended.stderr if example.faults else ended.stdout).splitlines()[-1]
    assert json.loads(printed) == json.loads(example.result)
