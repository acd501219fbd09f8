"""JSON pointers (RFC 6901): the identity of a task in its definition, and references inside documents."""

from typing import Any


def child(pointer: str, *steps: str | int) -> str:
    """Returns the pointer of a value below; the steps are escaped."""
    return pointer + "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def within(pointer: str, most: int) -> str:
    """Returns a pointer of at most `most` characters: this one, or that of the nearest value around it."""
    return pointer if len(pointer) <= most else pointer[: pointer.rfind("/", 0, most + 1)]


def parts(pointer: str) -> list[str]:
    """Returns the unescaped steps of a pointer."""
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


def value_at(root: Any, pointer: str) -> Any:
    """Returns the value at a pointer. Raises `LookupError` if there is none."""
    target = root
    for step in parts(pointer):
        match target:
            case dict() if step in target:
                target = target[step]
            case list() if step.isdecimal() and len(step) < 6 and int(step) < len(target):
                target = target[int(step)]
            case _:
                raise LookupError(step)
    return target
