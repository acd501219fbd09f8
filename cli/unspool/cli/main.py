"""The program: its commands, and its exit code. It imports a command only to run it.

The client libraries take half a second to import; `unspool --help` and `unspool validate` do not need them.
"""

import importlib
import io
import os
import sys
from collections.abc import Sequence
from typing import Final, NamedTuple

import click

from unspool.cli.exits import Exit, StandardOutput, flush_output, report


class Entry(NamedTuple):
    """A command in the program's help."""

    location: str
    """`module:name`: the module in `unspool.cli` and the command's name in it."""
    help: str


COMMANDS: Final = {
    "run": Entry("run:run", "Run a definition to its end in this process."),
    "validate": Entry("validate:validate", "Check definitions."),
    "schema": Entry("schema:schema", "Print the JSON Schema of definitions, for editors."),
    "graph": Entry("graph:graph", "Draw a definition, with the state of an execution."),
    "dev": Entry("dev:dev", "Run all services in one process, for development."),
    "deploy": Entry("deploy:deploy", "Store definitions."),
    "workflows": Entry("workflows:workflows", "List and show deployed definitions."),
    "functions": Entry("functions:functions", "List the functions of executors."),
    "start": Entry("start:start", "Start an execution."),
    "executions": Entry("executions:executions", "List, show and operate executions."),
    "history": Entry("history:history", "Show the history of an execution, event by event."),
    "replay": Entry("replay:replay", "Rebuild states from histories; verify histories."),
    "events": Entry("events:events", "Publish events; read archived ones."),
    "schedules": Entry("schedules:schedules", "List, pause and resume schedules; show their histories."),
    "dlq": Entry("dead_letters:dlq", "Inspect and requeue dead letters."),
    "keys": Entry("keys:keys", "Create, list and revoke keys for the HTTP API."),
    "sessions": Entry("sessions:sessions", "List and end the sessions of browsers."),
    "encryption": Entry("encryption:encryption", "Make keys for payloads; see which are in use."),
    "services": Entry("system:services", "List the services that are alive, and what waits in the queues."),
    "api": Entry("services:api", "Serve the HTTP API."),
    "mcp": Entry("mcp.command:mcp", "Show workflows and executions to agents (Model Context Protocol)."),
    "worker": Entry("services:worker", "Run a worker; it interprets executions."),
    "executor": Entry("services:executor", "Run an executor; it runs the calls and commands of tasks."),
    "timer": Entry("services:timer", "Run a timer service; it fires due timers."),
    "metrics": Entry("metrics:metrics", "List every metric of the services."),
    "doctor": Entry("doctor:doctor", "Check store and services, and say what to change."),
    "config": Entry("config:config", "List every setting and its value."),
}


class Program(click.Group):
    """A group that imports a command to run it, but not to list it."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Returns the names, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Imports and returns a command."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module, _, name = entry.location.partition(":")
        command: click.Command = getattr(importlib.import_module(f"unspool.cli.{module}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Writes the list of commands in the help."""
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
    """Runs a command line and returns its exit code."""
    try:
        try:
            code = program.main(list(arguments), prog_name="unspool", standalone_mode=False)
        finally:  # before a failure is reported, so that output that cannot be written has an exit code
            flush_output()
    except BaseException as error:  # noqa: BLE001 - every failure becomes an exit code, also Ctrl-C
        return report(error)
    return code if code is not None else Exit.DONE


def main() -> None:
    """The program `unspool`."""
    _open_standard_streams()
    sys.exit(call(sys.argv[1:]))


def _open_standard_streams() -> None:
    """Opens the standard streams that the caller closed.

    Otherwise the next opened file would get one of their numbers. A write to a closed standard output still
    fails, because the results are lost. Messages to a closed standard error are discarded.
    """
    for descriptor, flags in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, flags)  # gets the lowest free number, which is this one
    sys.stdin = sys.stdin or open(0)  # noqa: SIM115 - for as long as the program runs
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w")  # noqa: SIM115
    buffer = io.BufferedWriter(StandardOutput(1, "w", closefd=False))  # also with PYTHONUNBUFFERED
    before = sys.stdout
    by_line = before.line_buffering  # on a terminal
    unbuffered = isinstance(before, io.TextIOWrapper) and before.write_through  # PYTHONUNBUFFERED
    sys.stdout = io.TextIOWrapper(
        buffer, before.encoding, before.errors, line_buffering=bool(by_line or unbuffered)
    )
