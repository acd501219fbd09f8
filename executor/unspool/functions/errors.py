"""The error that a function raises for its workflow."""

from typing import Final

_LEAST_STATUS: Final = 100
_MOST_STATUS: Final = 599


class TaskError(Exception):
    """An error that the workflow can catch (dsl-reference.md, "Error").

    raise TaskError("https://example.com/errors/card-declined", 402, title="Card declined")
    """

    def __init__(self, type: str, status: int, title: str | None = None, detail: str | None = None) -> None:  # noqa: A002 - the member of the error
        """Takes the members of the error (RFC 7807).

        Args:
            type: a URI that names the kind of the error; `catch.errors.with.type` compares it.
            status: as in HTTP, from 100 to 599.
            title: the kind of the error, for people; the last part of the type if it is None.
            detail: what happened in this case.

        Raises:
            ValueError: the type is empty, or the status is not a number from 100 to 599.
            TypeError: a text is not a `str`.
        """
        for name, text in (("type", type), ("title", title), ("detail", detail)):
            if text is not None and not isinstance(text, str):
                raise TypeError(f"{name} of a TaskError is a str, not {text!r}")
        if not type:
            raise ValueError("the type of a TaskError is a URI; it is empty")
        if isinstance(status, bool) or not isinstance(status, int):
            raise TypeError(f"status of a TaskError is an int, not {status!r}")
        if not _LEAST_STATUS <= status <= _MOST_STATUS:
            raise ValueError(
                f"the status of a TaskError is from {_LEAST_STATUS} to {_MOST_STATUS}, not {status}"
            )
        super().__init__(detail or title or type)
        self.type = type
        self.status = status
        self.title = title or type.rstrip("/").rpartition("/")[2] or type
        self.detail = detail
