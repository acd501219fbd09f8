"""Workflow errors: data that an author can catch, not Python exceptions (dsl-reference.md, "Error").

An error is an RFC 7807 problem. The functions here make the standard errors; the types of these begin with
`DEFAULT_BASE`. `WorkflowError.under` replaces this base. `same_type` compares types and ignores which of the
known bases they begin with (inventory V1, Z1).
"""

import re
from dataclasses import dataclass, replace
from typing import Any, Final

DEFAULT_BASE: Final = "https://serverlessworkflow.io/spec/1.0.0/errors/"

KNOWN_BASES: Final = (
    DEFAULT_BASE,
    "https://open-workflow-specification.org/spec/1.0.0/errors/",
    "https://serverlessworkflow.io/dsl/errors/types/",
    "https://serverlessworkflow.io.io/dsl/errors/types/",
    "https://open-workflow-specification.org/dsl/errors/types/",
    "https://serverlessworkflow.io/errors/types/",
    "https://serverlessworkflow.io/errors/",
    "https://open-workflow-specification.org/errors/types/",
    "https://open-workflow-specification.org/errors/",
)
"""The URIs that types of the standard errors may begin with. A longer base precedes its own prefix."""

_RETRY_AFTER: Final = re.compile(r"PT(\d{1,9})S")

STANDARD: Final = {
    "configuration": 400,
    "validation": 400,
    "expression": 400,
    "authentication": 401,
    "authorization": 403,
    "timeout": 408,
    "communication": 500,
    "runtime": 500,
}
"""The standard errors and their default status (dsl-reference.md, "Standard Error Types")."""


@dataclass(frozen=True, slots=True)
class WorkflowError:
    """An RFC 7807 problem."""

    type: str
    status: int
    title: str | None = None
    detail: str | None = None
    instance: str | None = None
    """JSON pointer of the component that raised it."""
    retry_after: int | None = None
    """Seconds for which the service of a call wants no further one: the least delay of a retry."""

    def to_json(self) -> dict[str, Any]:
        """Returns the error as JSON, without the members that are None (inventory O6)."""
        members = {
            "type": self.type,
            "status": self.status,
            "title": self.title,
            "detail": self.detail,
            "instance": self.instance,
            "retryAfter": None if self.retry_after is None else f"PT{self.retry_after}S",
        }
        return {name: value for name, value in members.items() if value is not None}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "WorkflowError":
        """Returns the error that `to_json` wrote."""
        return cls(
            type=value["type"],
            status=value["status"],
            title=value.get("title"),
            detail=value.get("detail"),
            instance=value.get("instance"),
            retry_after=_seconds(value.get("retryAfter")),
        )

    def at(self, instance: str) -> "WorkflowError":
        """Returns the error with this instance, unless it already has one."""
        return self if self.instance is not None else replace(self, instance=instance)

    def under(self, base: str) -> "WorkflowError":
        """Returns the error; the type of a standard error begins with `base`."""
        if base == DEFAULT_BASE or not self.type.startswith(DEFAULT_BASE):
            return self
        return replace(self, type=base + self.type.removeprefix(DEFAULT_BASE))


def _seconds(duration: Any) -> int | None:
    found = _RETRY_AFTER.fullmatch(duration) if isinstance(duration, str) else None
    return int(found[1]) if found else None


def _standard(kind: str, title: str, detail: str | None, status: int | None = None) -> WorkflowError:
    return WorkflowError(DEFAULT_BASE + kind, status or STANDARD[kind], title, detail)


def configuration(detail: str, title: str = "Configuration error") -> WorkflowError:
    """The definition asks for something that is impossible, which was found at run time."""
    return _standard("configuration", title, detail)


def validation(detail: str, title: str = "Validation failed") -> WorkflowError:
    """Data does not match its schema."""
    return _standard("validation", title, detail)


def expression(detail: str, title: str = "Expression failed") -> WorkflowError:
    """A runtime expression failed (dsl.md, "Runtime Expressions")."""
    return _standard("expression", title, detail)


def authentication(
    detail: str, title: str = "Authentication failed", status: int | None = None
) -> WorkflowError:
    """Credentials were not available or were rejected."""
    return _standard("authentication", title, detail, status)


def authorization(detail: str, title: str = "Not allowed", status: int | None = None) -> WorkflowError:
    """The workflow may not use this secret, address or feature."""
    return _standard("authorization", title, detail, status)


def timeout(detail: str, title: str = "Timed out") -> WorkflowError:
    """A task or a workflow exceeded its timeout (dsl.md, "Timeouts")."""
    return _standard("timeout", title, detail)


def communication(
    detail: str, title: str = "Communication failed", status: int | None = None
) -> WorkflowError:
    """A call failed; the status is that of the response, if there is one (inventory J1)."""
    return _standard("communication", title, detail, status)


def runtime(detail: str, title: str = "Runtime error", status: int | None = None) -> WorkflowError:
    """A process failed, or an executor found something unexpected."""
    return _standard("runtime", title, detail, status)


def same_type(one: str, other: str) -> bool:
    """Returns whether two type URIs mean the same error; known bases are ignored."""
    return one == other or (_kind(one) is not None and _kind(one) == _kind(other))


def _kind(uri: str) -> str | None:
    """Returns the part of a type after its known base; None if the base is not known."""
    for base in KNOWN_BASES:
        if uri.startswith(base):
            return uri.removeprefix(base)
    return None
