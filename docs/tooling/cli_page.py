"""docs/reference/cli.md, from the commands of the program."""

import inspect
from collections.abc import Iterator
from typing import Final

import click
from docs.tooling.markdown import code, page, table, text

from unspool.cli.main import COMMANDS, program

_INTRODUCTION: Final = """\
`unspool COMMAND --help` prints the same. [The command line](../cli.md) explains how the commands are used
together, and [errors](errors.md#exit-codes) has the exit codes. `-h` or `--help` is an option of every
command."""


def cli_page() -> str:
    """Returns the page."""
    return page("Commands", _INTRODUCTION, _body())


def _body() -> Iterator[str]:
    context = click.Context(program, info_name="unspool")
    links = ((f"[`unspool {name}`](#unspool-{name})", text(entry.help)) for name, entry in COMMANDS.items())
    yield from table(("command", "meaning"), links)
    for name in program.list_commands(context):
        yield from _command(program.get_command(context, name), name, context, "##")


def _command(command: click.Command | None, name: str, parent: click.Context, heading: str) -> Iterator[str]:
    assert command is not None  # it is in the list of its group
    context = click.Context(command, parent, info_name=name)
    yield from ("", f"{heading} {context.command_path}", "", *_help(command), "")
    yield from ("```text", " ".join((context.command_path, *command.collect_usage_pieces(context))), "```")
    options = [option for option in command.params if isinstance(option, click.Option)]
    if options:
        yield ""
        yield from table(("option", "meaning"), map(_option, options))
    yield from _example(command)
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            yield from _command(command.get_command(context, each), each, context, f"{heading}#")


def _help(command: click.Command) -> Iterator[str]:
    for line in inspect.cleandoc(command.help or "").replace("\b\n", "").splitlines():
        yield text(line)


def _option(option: click.Option) -> tuple[str, str]:
    names = ", ".join(map(code, (*option.opts, *option.secondary_opts)))
    if not option.is_flag:
        names += f" {code(option.make_metavar(click.Context(click.Command('any'))))}"
    return names, " ".join(_meaning(option))


def _meaning(option: click.Option) -> Iterator[str]:
    help_text = option.help or ""
    yield text(help_text)
    if option.show_default:
        yield f"Default: {code(str(option.default))}."
    if isinstance(option.envvar, str) and option.envvar not in help_text:
        yield f"Variable: {code(option.envvar)}."


def _example(command: click.Command) -> Iterator[str]:
    lines = inspect.cleandoc((command.epilog or "").replace("\b\n", "")).splitlines()
    if lines:
        yield from ("", lines[0], "", "```console", *(f"$ {line.strip()}" for line in lines[1:]), "```")
