"""docs/reference/python.md, from the signatures and docstrings of the packages that programs import."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Final

from docs.tooling.docstrings import paragraphs
from docs.tooling.markdown import code, page, table, text

import unspool.client
import unspool.functions
import unspool.testing

_INTRODUCTION: Final = """\
The packages that programs import. Each has a page that explains it, with examples."""

_PACKAGES: Final[tuple[tuple[ModuleType, str], ...]] = (
    (unspool.client, "[The client for Python](../client.md): programs that use the HTTP API."),
    (unspool.functions, "[Functions in Python](../functions.md): what workflows call."),
    (unspool.testing, "[Tests of workflows](../testing.md): workflows in unit tests."),
)

_Function = ast.FunctionDef | ast.AsyncFunctionDef


def python_page() -> str:
    """Returns the page."""
    return page("Python API", _INTRODUCTION, _body())


def _body() -> Iterator[str]:
    for package, explanation in _PACKAGES:
        yield from (f"## {package.__name__}", "", explanation, "")
        for name in package.__all__:
            found = getattr(package, name)
            if inspect.isclass(found):
                yield from _class(name, found)
            elif inspect.isfunction(found):
                yield from (f"### {name}", "", *_function(_parsed(found)))


def _class(name: str, cls: type[Any]) -> Iterator[str]:
    yield from (f"### {name}", "")
    bases = [base.__name__ for base in cls.__bases__ if base.__module__.startswith("unspool.")]
    if public := [base for base in bases if not base.startswith("_") and not base.endswith("Methods")]:
        yield from ("A " + ", ".join(map(code, public)) + ".", "")
    yield from (*paragraphs(cls.__doc__), "")
    body = [node for each in _own(cls) for node in _parsed(each).body]
    fields = list(_fields(body))
    if fields:
        yield from (*table(("attribute", "type", "meaning"), fields), "")
    for node in body:
        if isinstance(node, _Function) and (node.name == "__init__" or not node.name.startswith("_")):
            yield from _method(name, node)


def _own(cls: type[Any]) -> Iterator[type[Any]]:
    """Yields a class, and the classes that hold a part of its methods."""
    yield cls
    yield from (base for base in cls.__mro__[1:] if base.__name__.endswith("Methods"))


def _parsed(found: Any) -> Any:
    return ast.parse(textwrap.dedent(inspect.getsource(found))).body[0]


def _fields(body: list[ast.stmt]) -> Iterator[tuple[str, str, str]]:
    """Yields the fields of a record; the text behind a field says what it means."""
    for node, following in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign) and not (name := ast.unparse(node.target)).startswith("_"):
            yield code(name), code(ast.unparse(node.annotation)), text(_text_of(following))


def _text_of(node: ast.stmt | None) -> str:
    match node:
        case ast.Expr(value=ast.Constant(value=str(meaning))):
            return meaning
        case _:
            return ""


def _method(owner: str, node: _Function) -> Iterator[str]:
    if any(ast.unparse(each) == "property" for each in node.decorator_list):
        yield from (f"`{node.name}`: {code(ast.unparse(node.returns)) if node.returns else ''}", "")
        yield from (*paragraphs(ast.get_docstring(node)), "")
    elif node.name != "__init__":
        yield from _function(node, method=True)
    elif len(ast.unparse(node.args)) > len("self"):
        yield from ("```python", *_signature(owner, node, skipped=1), "```", "")


def _function(node: _Function, *, method: bool = False) -> Iterator[str]:
    static = any(ast.unparse(each) == "staticmethod" for each in node.decorator_list)
    prefix = "async def " if isinstance(node, ast.AsyncFunctionDef) else "def "
    yield from (
        "```python",
        *_signature(prefix + node.name, node, skipped=int(method and not static)),
        "```",
        "",
    )
    yield from (*paragraphs(ast.get_docstring(node)), "")


def _signature(name: str, node: _Function, *, skipped: int) -> Iterator[str]:
    """Yields the lines of a signature without `self` or `cls`, in one line if it is short."""
    arguments = list(_arguments(node.args))[skipped:]
    returns = f" -> {ast.unparse(node.returns)}" if node.returns and node.name != "__init__" else ""
    short = f"{name}({', '.join(arguments)}){returns}"
    if len(short) <= 100:
        yield short
    else:
        yield from (f"{name}(", *(f"    {each}," for each in arguments), f"){returns}")


def _arguments(arguments: ast.arguments) -> Iterator[str]:
    positional = [*arguments.posonlyargs, *arguments.args]
    missing = len(positional) - len(arguments.defaults)
    for place, each in enumerate(positional):
        yield _argument(each, arguments.defaults[place - missing] if place >= missing else None)
        if arguments.posonlyargs and place + 1 == len(arguments.posonlyargs):
            yield "/"
    if arguments.vararg:
        yield f"*{_argument(arguments.vararg, None)}"
    elif arguments.kwonlyargs:
        yield "*"
    for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield _argument(each, default)
    if arguments.kwarg:
        yield f"**{_argument(arguments.kwarg, None)}"


def _argument(argument: ast.arg, default: ast.expr | None) -> str:
    annotated = ast.unparse(argument)
    if default is None:
        return annotated
    return f"{annotated}{' = ' if argument.annotation else '='}{ast.unparse(default)}"
