"""The file that says which webhooks exist (setting `UNSPOOL_HOOKS`)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Final

from unspool.api.hooks.services import USUAL_IDS, BadMember, verification
from unspool.api.hooks.values import HeaderValue, Template, Value, member, template
from unspool.api.hooks.verification import NoVerification, Token, Verification
from unspool.definitions.cloud_events import RESERVED
from unspool.definitions.document import load
from unspool.definitions.findings import Findings, TooManyProblems
from unspool.definitions.json_pointer import child
from unspool.definitions.problems import DefinitionInvalid, Severity
from unspool.definitions.schema import Rule, check_with_rule, linked
from unspool.eventstore.records import DEFAULT_TENANT
from unspool.executor.secrets import LocalSecrets, SecretProvider

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_SECRET: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,252}")
_NOT_IN_ATTRIBUTE: Final = re.compile(r"[^a-z0-9]")
_WITH_SECRETS: Final = frozenset({"authorization", "proxy-authorization", "cookie"})


@dataclass(frozen=True, slots=True)
class Hook:
    """One webhook."""

    name: str
    kind: str
    """How it verifies: `github`, `stripe`, `hmac` …"""
    verification: Verification
    type: Template
    subject: Template | None
    id: Value | None
    """Where the id of the event is; it must be there. None if the configuration does not say it."""
    attributes: Mapping[str, str]
    """The names of extension attributes, and the header of each in lower case."""
    tenant: str

    @property
    def usual_id(self) -> Value | None:
        """Where its service writes the id of a delivery, if it does."""
        return USUAL_IDS.get(self.kind)


@dataclass(frozen=True, slots=True)
class Hooks:
    """All webhooks, and the secrets that they verify with."""

    by_name: Mapping[str, Hook] = field(default_factory=dict)
    secrets: SecretProvider = field(default_factory=lambda: LocalSecrets({}))

    def without_secret(self) -> list[str]:
        """Returns the names of webhooks that need a secret and have none."""
        return [
            hook.name
            for hook in self.by_name.values()
            if (names := hook.verification.secrets) and not any(map(self.secrets.secret, names))
        ]


def read_hooks(text: bytes, name: str) -> dict[str, Hook]:
    """Returns the webhooks of a file, by name.

    Args:
        text: the content of the file.
        name: its name, for messages.

    Raises:
        DefinitionInvalid: the text is not valid; it has all problems, with their positions.
    """
    document = load(text, name=name, mapping="a file of webhooks is a mapping of their names")
    findings = Findings(document)
    try:
        check_with_rule(document, _schema(), findings)
        found = {
            hook: _hook(hook, members, findings)
            for hook, members in document.value.items()
            if _is_name(hook, findings) and findings.is_clean(child("", hook))
        }
    except TooManyProblems:
        found = {}
    errors = [problem for problem in findings.in_order() if problem.severity is Severity.ERROR]
    if errors:
        raise DefinitionInvalid(errors, name)
    return {hook: made for hook, made in found.items() if made is not None}


@cache
def _schema() -> Rule:
    text = files(__package__).joinpath("hooks.yaml").read_bytes()
    return linked(load(text, name="hooks.yaml").value)


def _is_name(hook: str, findings: Findings) -> bool:
    if _NAME.fullmatch(hook):
        return True
    message = "the name of a webhook has 1 to 63 letters, digits, '.', '_' and '-'"
    findings.error(child("", hook), message, at_key=True)
    return False


def _hook(name: str, members: dict[str, Any], findings: Findings) -> Hook | None:
    """Returns a webhook whose members match the schema; None if they have other problems."""
    place = child("", name)
    kind, verifies = _verification(place, members["verify"], findings)
    type_ = _template(place, "type", members.get("type", f"hook.{name}"), findings)
    subject = _template(place, "subject", members["subject"], findings) if "subject" in members else None
    id_ = _id(place, members.get("id"), findings)
    attributes = _attributes(place, members.get("headers", []), findings)
    if verifies is None or type_ is None:
        return None
    hook = Hook(name, kind, verifies, type_, subject, id_, attributes, members.get("tenant", DEFAULT_TENANT))
    _check_headers(place, hook, findings)
    return hook


def _verification(place: str, written: Any, findings: Findings) -> tuple[str, Verification | None]:
    if isinstance(written, str):
        return written, NoVerification()
    [(kind, members)] = written.items()
    here = child(place, "verify", kind)
    names = members["secret"]
    for name in [names] if isinstance(names, str) else names:
        if not _SECRET.fullmatch(name):  # the message does not have it: it may be the secret itself
            message = "expected the name of a secret, as in UNSPOOL_SECRET_<NAME>, not its value"
            findings.error(child(here, "secret"), message)
            return kind, None
    try:
        return kind, verification(kind, members)
    except BadMember as bad:
        findings.error(child(here, bad.member) if bad.member in members else here, str(bad))
        return kind, None


def _template(place: str, name: str, text: str, findings: Findings) -> Template | None:
    try:
        return template(text)
    except ValueError as error:
        findings.error(child(place, name), str(error))
        return None


def _id(place: str, written: Any, findings: Findings) -> Value | None:
    if written is None:
        return None
    if "header" in written:
        return HeaderValue(written["header"].lower())
    try:
        return member(written["body"])
    except ValueError as error:
        findings.error(child(place, "id", "body"), str(error))
        return None


def _attributes(place: str, headers: list[str], findings: Findings) -> dict[str, str]:
    found: dict[str, str] = {}
    for index, header in enumerate(headers):
        attribute = _NOT_IN_ATTRIBUTE.sub("", header.lower())
        if not attribute or attribute in RESERVED:
            message = f"no attribute of an event can have the name of the header '{header}'"
            findings.error(child(place, "headers", index), message)
        elif attribute in found:
            message = f"this header and '{found[attribute]}' have the same attribute, '{attribute}'"
            findings.error(child(place, "headers", index), message)
        found[attribute] = header.lower()
    return found


def _check_headers(place: str, hook: Hook, findings: Findings) -> None:
    """Reports headers that have a secret and that would become a part of the event."""
    secret = _WITH_SECRETS | ({hook.verification.header} if isinstance(hook.verification, Token) else set())
    read = {
        "headers": list(hook.attributes.values()),
        "type": hook.type.headers(),
        "subject": hook.subject.headers() if hook.subject else [],
        "id": [hook.id.name] if isinstance(hook.id, HeaderValue) else [],
    }
    for name, headers in read.items():
        for header in secret.intersection(headers):
            findings.error(child(place, name), f"the header {header} has a secret, and events are not secret")
