"""`unspool graph`: draws a definition, with the state of an execution."""

import os
import sys
from pathlib import Path
from typing import Final

import click

from unspool.cli.deployed import named
from unspool.cli.documents import valid_document
from unspool.cli.drawing import Drawn, drawing, with_state
from unspool.cli.files import is_file
from unspool.cli.jq import jq_pool
from unspool.cli.loop import asynchronous
from unspool.cli.options import Place, example, target_options
from unspool.cli.targets.opening import opened_target
from unspool.cli.terminal import is_terminal

_SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})


@click.command(
    epilog=example(
        "unspool graph order.yaml --svg > order.svg",
        "unspool graph shop/order:1.0.0 --mermaid",
        "unspool graph --execution 01JD8X4W0M2V5Z7Y3T6K9Q1B0C",
    )
)
@click.argument("source", metavar="[FILE|NAMESPACE/NAME[:VERSION]]", required=False)
@click.option("--svg", "form", flag_value="svg", help="An SVG image; the default without a terminal.")
@click.option("--mermaid", "form", flag_value="mermaid", help="Mermaid text, which GitHub draws.")
@click.option("--ascii", "form", flag_value="ascii", help="A tree as text; the default on a terminal.")
@click.option(
    "--execution",
    metavar="ID",
    help="Show the states of the tasks in this execution. Without a definition, its own is drawn.",
)
@click.option(
    "--at",
    type=click.IntRange(min=0),
    metavar="N",
    help="With --execution: as of event N; default: last.",
)
@target_options
@asynchronous
async def graph(
    source: str | None, form: str | None, execution: str | None, at: int | None, place: Place
) -> None:
    """Draw a definition: a file, or a deployed one."""
    if source is None and execution is None:
        raise click.UsageError("name a definition or an execution")
    if at is not None and execution is None:
        raise click.UsageError("--at goes with --execution")
    text = valid_document(source).text if source is not None and _is_file(source) else None
    if text is not None and execution is None:
        drawn = Drawn(text)
    else:
        async with opened_target(place) as target:
            if text is None and source is not None:
                text = await target.definition(await target.resolve(named(source)))
            drawn = Drawn(str(text)) if execution is None else await with_state(target, execution, at, text)
    with jq_pool(os.environ) as jq:
        click.echo(drawing(form or ("ascii" if is_terminal(sys.stdout) else "svg"), drawn, jq), nl=False)


def _is_file(source: str) -> bool:
    return source == "-" or Path(source).suffix in _SUFFIXES or is_file(source)
