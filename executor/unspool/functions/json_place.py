"""JSON pointers of places in data (RFC 6901). This package does not import others of Unspool."""


def below(place: str, name: str | int) -> str:
    """Returns the pointer of a member or item of the value at a pointer."""
    return f"{place}/{str(name).replace('~', '~0').replace('/', '~1')}"
