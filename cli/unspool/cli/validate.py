"""`unspool validate`: prints every problem of every file."""

from dataclasses import asdict

import click

from unspool.cli.documents import problems_of
from unspool.cli.exits import CommandError, Exit
from unspool.cli.options import example, json_option
from unspool.cli.output import print_line, say
from unspool.cli.terminal import printable
from unspool.definitions.problems import Problem, Severity


@click.command(epilog=example("unspool validate order.yaml payment.yaml"))
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@json_option
def validate(files: tuple[str, ...], as_json: bool) -> int:
    """Check definitions and print every problem as FILE:LINE:COLUMN: MESSAGE (POINTER).

    Warnings go to standard error and do not change the exit code.
    """
    valid = True
    for file in files:
        try:
            problems = problems_of(file)
        except CommandError as unreadable:
            say(f"unspool: {unreadable}")
            valid = False
            continue
        for problem in problems:
            _print(file, problem, as_json=as_json)
        valid = valid and all(problem.severity is not Severity.ERROR for problem in problems)
    return Exit.DONE if valid else Exit.INVALID


def _print(file: str, problem: Problem, *, as_json: bool) -> None:
    if as_json:
        print_line({"file": file, **asdict(problem)})
    else:
        warning = problem.severity is Severity.WARNING
        click.echo(printable(f"{file}:{problem}{' [warning]' if warning else ''}"), err=warning)
