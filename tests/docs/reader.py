"""Follows a page word for word: writes its files, runs its commands, compares the output."""

import re
import shlex
import socket
import time
from collections.abc import Callable
from pathlib import Path

from tests.docs.commands import commands
from tests.docs.comparison import compare
from tests.docs.markdown import ROOT, Block
from tests.docs.terminal import Command, Terminal

SECONDS = 90
"""How long a command may take, or a server until it has printed what the page shows, or anything."""

PORTS = ("6379", "8080", "8090", "8097", "8099", "9464")
"""Ports in the pages. Each reader uses others, so that several can read at the same time."""

SERVERS = {"redis-server": "6379", "unspool dev": "8080", "unspool api": "8080"}
"""What listens where if the command names no port. A reader types slowly; a test waits until it listens."""


class Reader:
    """A reader in a directory of their own. `ports` maps the ports of the pages to free ones.

    One who `installs` also follows the blocks for newcomers, which install Unspool.
    """

    def __init__(
        self,
        folder: Path,
        environment: dict[str, str],
        ports: dict[str, str],
        scratch: Path,
        *,
        installs: bool,
    ) -> None:
        self._folder = folder
        self._installs = installs
        self._environment = environment
        self._ports = ports
        self._scratch = scratch
        self._stands: dict[str, str] = {}
        self._terminals: dict[str, Terminal] = {}
        self._servers: dict[str, Command] = {}
        self._last = ""

    def follow(self, block: Block) -> None:
        """Does what a block says; asserts that what happens is what the page shows."""
        if "skip" in block.remarks or ("newcomer" in block.remarks and not self._installs):
            return
        if "part" in block.remarks:
            whole = (ROOT / block.remarks["part"]).read_text()
            assert block.text in whole, f"{block.name}: is not a part of {block.remarks['part']}"
            return
        if block.title is not None:
            (self._terminal("1").directory / block.title).write_text(self._translate(block.text))
            return
        if step := _STEPS.get(block.language):
            step(self, block)

    def close(self) -> None:
        """Closes all terminals."""
        while self._terminals:
            self._terminals.popitem()[1].close()

    # -- kinds of blocks

    def _replace(self, block: Block) -> None:
        shown, actual = shlex.split(block.text)
        self._stands[shown] = actual

    def _stop(self, block: Block) -> None:
        name = block.text or "1"
        self._terminals[name].interrupt()
        self._wait(lambda: self._servers[name].code is not None, block, self._servers[name])

    def _console(self, block: Block) -> None:
        name = block.remarks.get("terminal", "1")
        shown = commands(block.text)
        for number, (command, output) in enumerate(shown):
            last = number == len(shown) - 1
            if last and "serves" in block.remarks:
                self._serve(block, name, command, output)
            else:
                code = int(block.remarks.get("exit", 0)) if last else 0
                self._run(block, name, command, output, code)

    def _whole(self, block: Block) -> None:
        said, faults = block.prints or ("", False)
        self._run(block, "1", block.text, "", int(faults))
        end = "".join(self._last.split())
        assert end.endswith("".join(said.split())), f"{block.name}: says {said}\nprinted:\n{self._last}"

    def _program(self, block: Block) -> None:
        program = self._terminal("1").directory / f"_line_{block.line}.py"
        program.write_text(self._translate(block.text))
        self._run(block, "1", f"python {program.name}", "", 0)

    def _text(self, block: Block) -> None:
        if "output" in block.remarks:
            self._compare(block, "the program", block.text, self._last)

    # -- commands

    def _run(self, block: Block, name: str, text: str, output: str, code: int) -> None:
        command = self._end(block, name, text)
        deadline = time.monotonic() + SECONDS
        while "again" in block.remarks and time.monotonic() < deadline:
            if self._is_shown(output, command.printed):
                break
            command = self._end(block, name, text)
        self._last = command.printed
        assert command.code == code, (
            f"{block.name}: exit code {command.code}, not {code}, of: {command.text}\n{command.printed}"
        )
        self._compare(block, text, output, command.printed)
        self._wait_until_it_listens(block, command)

    def _end(self, block: Block, name: str, text: str) -> Command:
        command = self._terminal(name).start(self._translate(text))
        self._wait(lambda: command.code is not None, block, command)
        return command

    def _serve(self, block: Block, name: str, text: str, output: str) -> None:
        command = self._terminal(name).start(self._translate(text))
        self._servers[name] = command
        self._wait(lambda: bool(command.printed) and self._is_shown(output, command.printed), block, command)
        assert command.code is None, f"{block.name}: ended: {command.text}\n{command.printed}"
        self._wait_until_it_listens(block, command, served=True)

    def _wait(self, condition: Callable[[], bool], block: Block, command: Command) -> None:
        deadline = time.monotonic() + (SECONDS if "newcomer" not in block.remarks else 5 * SECONDS)
        while not condition():
            assert time.monotonic() < deadline, f"{block.name}: waited for: {command.text}\n{command.printed}"
            time.sleep(0.02)

    def _wait_until_it_listens(self, block: Block, command: Command, *, served: bool = False) -> None:
        for line in command.text.splitlines():
            started = re.search(r"&\s*(#.*)?$", line) or served
            named = re.search(r"--port (\d+)", line)
            port = named[1] if named else next(
                (self._ports[port] for server, port in SERVERS.items() if server in line), None
            )  # fmt: skip
            if started and port is not None:
                self._wait(lambda port=port: _listens(int(port)), block, command)  # type: ignore[misc]

    def _terminal(self, name: str) -> Terminal:
        if name not in self._terminals:
            folder = self._scratch / f"terminal-{name}"
            folder.mkdir()
            self._terminals[name] = Terminal(self._folder, self._environment, folder)
        return self._terminals[name]

    # -- what the page shows, and what it is here

    def _translate(self, text: str) -> str:
        for shown, actual in (self._stands | self._ports).items():
            text = re.sub(rf"(?<![\w-]){re.escape(shown)}(?![\w-])", lambda _, actual=actual: actual, text)  # type: ignore[misc]
        return text

    def _shown_ports(self, printed: str) -> str:
        for shown, actual in self._ports.items():
            printed = re.sub(rf"\b{actual}\b", shown, printed)
        return printed

    def _is_shown(self, output: str, printed: str) -> bool:
        return not output or compare(output, self._shown_ports(printed)) is not None

    def _compare(self, block: Block, command: str, output: str, printed: str) -> None:
        if not output:
            return
        for shown, actual in self._stands.items():
            output = output.replace(shown, actual)
        stands = compare(output, self._shown_ports(printed))
        assert stands is not None, f"{block.name}: {command}\nshows:\n{output}\nprinted:\n{printed}"
        self._stands |= {shown: actual for shown, actual in stands.items() if shown != actual}


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


_STEPS: dict[str, Callable[[Reader, Block], None]] = {
    "run": Reader._console,
    "replace": Reader._replace,
    "stop": Reader._stop,
    "console": Reader._console,
    "sh": Reader._console,
    "bash": Reader._whole,
    "python": Reader._program,
    "text": Reader._text,
}
