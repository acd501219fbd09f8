"""Takes a block of commands apart: each command with the output that the page shows for it."""

import re
import shlex
from typing import NamedTuple


class Shown(NamedTuple):
    """A command and the output after it; nothing is compared if the page shows none."""

    command: str
    output: str


def commands(text: str) -> list[Shown]:
    """Splits a block. Commands follow `$ `; a block without `$ ` has a command a line, and no output."""
    lines = text.splitlines()
    if not any(line.startswith("$ ") for line in lines):
        lines = [f"$ {line}" if line.strip() else line for line in lines]
        return [Shown(command, "") for command, _ in _split(lines, continues=True)]
    return _split(lines, continues=False)


def _split(lines: list[str], *, continues: bool) -> list[Shown]:
    found: list[Shown] = []
    while lines:
        line = lines.pop(0)
        if line.startswith("$ "):
            command = line[2:]
            while lines and not _is_complete(command):
                command += "\n" + (lines.pop(0).removeprefix("$ ") if continues else lines.pop(0))
            found.append(Shown(command, ""))
        elif line.strip():
            command, output = found.pop()
            found.append(Shown(command, f"{output}{line}\n"))
    return found


def _is_complete(command: str) -> bool:
    if (here := re.search(r"<<'?(\w+)'?", command)) and "<<<" not in command:
        return command.rpartition("\n")[2] == here[1]
    if command.rstrip(" ").endswith(("\\", "|", "&&")):
        return False
    try:
        shlex.split(command, comments=True)
    except ValueError:  # a quotation is open
        return False
    return True
