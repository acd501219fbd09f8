"""JSON pointers (RFC 6901): the identity of a task in its definition."""


def child(pointer: str, *steps: str | int) -> str:
    """Returns the pointer of a value below; the steps are escaped."""
    return pointer + "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def parts(pointer: str) -> list[str]:
    """Returns the unescaped steps of a pointer."""
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
