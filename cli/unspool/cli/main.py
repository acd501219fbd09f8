"""The program: its commands, each imported only when it is called, and how it ends.

Client libraries take half a second to import; `unspool --help` or `unspool validate` need none of them.
"""

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Final, NamedTuple

import click

from unspool.cli.exits import Exit, report


class Entry(NamedTuple):
    """A command as the program's help lists it."""

    place: str
    """Module of `unspool.cli`, and the command's name in it."""
    help: str


COMMANDS: Final = {
    "run": Entry("run:run", "Run a definition to its end in this process."),
    "validate": Entry("validate:validate", "Check definitions."),
    "dev": Entry("dev:dev", "Everything in one process, for development."),
    "deploy": Entry("deploy:deploy", "Store definitions."),
    "start": Entry("start:start", "Start an execution."),
    "executions": Entry("executions:executions", "Look after executions."),
    "history": Entry("history:history", "Show what happened in an execution, event by event."),
    "replay": Entry("replay:replay", "Rebuild states from histories; check histories against definitions."),
    "dlq": Entry("dead_letters:dlq", "Look after dead letters: what failed too often."),
    "api": Entry("services:api", "Serve the HTTP API."),
    "worker": Entry("services:worker", "Run a worker: interprets executions."),
    "executor": Entry("services:executor", "Run an executor: does the calls and runs of tasks."),
    "timer": Entry("services:timer", "Run a timer service: fires timers that are due."),
    "config": Entry("config:config", "List every setting and its value."),
}


class Program(click.Group):
    """A group that imports a command when it is asked for it, and not to list it."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Imports a command."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module, _, name = entry.place.partition(":")
        command: click.Command = getattr(importlib.import_module(f"unspool.cli.{module}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """The list in the help."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


@click.group(
    cls=Program,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog='\b\nExample:\n  unspool run greet.yaml --input \'{"name": "Ada"}\'',
)
@click.version_option(package_name="unspool", message="%(prog)s %(version)s")
def program() -> None:
    """Durable workflows written in the Open Workflow (CNCF Serverless Workflow) DSL."""


def call(arguments: Sequence[str]) -> int:
    """Does what a command line says; its exit code."""
    try:
        code = program.main(list(arguments), prog_name="unspool", standalone_mode=False)
        sys.stdout.flush()
    except BaseException as error:  # noqa: BLE001 - every end is an exit code, Ctrl-C too
        return report(error)
    return code if code is not None else Exit.DONE


def main() -> None:
    """The program `unspool`."""
    _open_standard_streams()
    sys.exit(call(sys.argv[1:]))


def _open_standard_streams() -> None:
    """Opens those that the caller has closed: else the next file opened would be taken for one of them."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    sys.stdin = sys.stdin or open(0)  # noqa: SIM115 - for as long as the program runs
    sys.stdout = sys.stdout or open(1, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w")  # noqa: SIM115
