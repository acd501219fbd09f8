"""`unspool validate`: every problem of every file."""

from dataclasses import asdict

import click

from unspool.cli.documents import problems_of
from unspool.cli.exits import Exit
from unspool.cli.options import example, json_option
from unspool.cli.output import print_line
from unspool.cli.terminal import printable
from unspool.definitions.problems import Severity


@click.command(epilog=example("unspool validate order.yaml payment.yaml"))
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@json_option
def validate(files: tuple[str, ...], as_json: bool) -> int:
    """Check definitions and print every problem as FILE:LINE:COLUMN: MESSAGE (POINTER).

    Warnings go to standard error and refuse nothing.
    """
    problems = [(file, problem) for file in files for problem in problems_of(file)]
    for file, problem in problems:
        if as_json:
            print_line({"file": file, **asdict(problem)})
        else:
            warning = problem.severity is Severity.WARNING
            click.echo(printable(f"{file}:{problem}{' [warning]' if warning else ''}"), err=warning)
    errors = any(problem.severity is Severity.ERROR for _, problem in problems)
    return Exit.INVALID if errors else Exit.DONE
