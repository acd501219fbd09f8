"""`unspool schema`: prints the JSON Schema of definitions."""

import click
import orjson

from unspool.cli.options import example
from unspool.definitions.schema.editor import editor_schema


@click.command(epilog=example("unspool schema > workflow.schema.json"))
@click.option("--json", "as_json", is_flag=True, help="No effect: the schema is always JSON.")
def schema(as_json: bool) -> None:  # noqa: ARG001 - the option is accepted by every command that prints data
    """Print the JSON Schema (draft 7) of definitions, for editors.

    An editor with this schema completes, explains and checks definitions. `unspool validate` also checks
    names, flow and expressions.
    """
    click.echo(orjson.dumps(editor_schema(), option=orjson.OPT_INDENT_2))
