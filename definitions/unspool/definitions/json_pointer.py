"""JSON pointers (RFC 6901): the identity of a task in its definition."""


def child(pointer: str, *steps: str | int) -> str:
    """The pointer of a member further down; steps are escaped."""
    return pointer + "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def parts(pointer: str) -> list[str]:
    """The unescaped steps of a pointer."""
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
