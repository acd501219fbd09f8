"""`unspool graph`: draws a definition."""

import os
import sys
from pathlib import Path
from typing import Final

import click

from unspool.cli.deployed import deployed, named
from unspool.cli.documents import valid_document
from unspool.cli.exits import CommandError
from unspool.cli.jq import jq_pool
from unspool.cli.loop import asynchronous
from unspool.cli.options import Place, example, place_options
from unspool.cli.stores import opened, store_url
from unspool.cli.terminal import is_terminal, printable
from unspool.definitions.compile import plan_of
from unspool.definitions.plan import Plan
from unspool.diagram.layout.workflow import layout
from unspool.diagram.mermaid import mermaid
from unspool.diagram.outline.workflow import outline
from unspool.diagram.plain_text import plain_text
from unspool.diagram.svg import svg

_SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})


@click.command(
    epilog=example("unspool graph order.yaml --svg > order.svg", "unspool graph shop/order:1.0.0 --mermaid")
)
@click.argument("source", metavar="FILE|NAMESPACE/NAME[:VERSION]")
@click.option(
    "--svg", "form", flag_value="svg", help="An SVG image; the default if the output is no terminal."
)
@click.option("--mermaid", "form", flag_value="mermaid", help="Mermaid text, which GitHub draws.")
@click.option("--ascii", "form", flag_value="ascii", help="A tree as text; the default on a terminal.")
@place_options
@asynchronous
async def graph(source: str, form: str | None, place: Place) -> None:
    """Draw a definition: a file, or a deployed one."""
    text = valid_document(source).text if _is_file(source) else await _stored(place, source)
    with jq_pool(os.environ) as jq:
        plan = plan_of(text, jq)
    click.echo(_drawn(plan, form or ("ascii" if is_terminal(sys.stdout) else "svg")), nl=False)


def _is_file(source: str) -> bool:
    return source == "-" or Path(source).suffix in _SUFFIXES or Path(source).is_file()


async def _stored(place: Place, source: str) -> str:
    async with opened(store_url(place)) as store:
        ref = await deployed(store, place.tenant, named(source))
        definition = await store.definition(place.tenant, *ref)
    if definition is None:
        raise CommandError(f"the definition {ref} is not deployed")
    return definition.text


def _drawn(plan: Plan, form: str) -> str:
    match form:
        case "svg":
            return svg(layout(plan))
        case "mermaid":
            return printable(mermaid(layout(plan)))
        case _:
            return printable(plain_text(outline(plan)))
