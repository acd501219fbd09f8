"""What commands say about what does not exist."""

from unspool.cli.exits import CommandError


def no_letter(id_: str) -> CommandError:
    """Returns the error for a dead letter that does not exist."""
    return CommandError(f"there is no dead letter {id_}; it may have been requeued or discarded")


def no_key(id_: str) -> CommandError:
    """Returns the error for a key that does not exist."""
    return CommandError(f"there is no key {id_}; `unspool keys list` shows their ids")


def no_schedule(id_: str) -> CommandError:
    """Returns the error for a schedule that does not exist."""
    return CommandError(f"there is no schedule {id_}")


def malformed_schedule(id_: str) -> CommandError:
    """Returns the error for what cannot be the id of a schedule."""
    return CommandError(f"{id_!r} is not a schedule's id; write NAMESPACE.NAME")
