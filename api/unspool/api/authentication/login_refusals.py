"""Why logins at an issuer fail."""

import re
from enum import StrEnum
from typing import Final

_ERROR: Final = re.compile(r"[a-z_]{1,64}")


class Refusal(StrEnum):
    """Why a login fails. The login page has a sentence for each."""

    DENIED = "denied"
    """The issuer says `access_denied`: the person, or a rule of the issuer, does not agree."""
    EXPIRED = "expired"
    """This browser has begun no such login, or it took too long, or it was answered before."""
    REFUSED = "refused"
    """The issuer answers with an error."""
    INVALID = "invalid"
    """What the issuer sends is not valid."""
    NO_SCOPES = "no-scopes"
    """The person may do nothing."""
    UNAVAILABLE = "unavailable"
    """The issuer does not answer."""
    TOO_MANY = "too-many"
    """There are too many attempts."""


class LoginRefused(Exception):
    """A login fails. The text says why, for the log; it contains nothing secret."""

    def __init__(self, refusal: Refusal, detail: str) -> None:
        super().__init__(detail)
        self.refusal = refusal


def refusal_of(error: str) -> LoginRefused:
    """Returns why a login fails to which an issuer answers with an error (RFC 6749, section 4.1.2.1)."""
    refusal = Refusal.DENIED if error == "access_denied" else Refusal.REFUSED
    return LoginRefused(refusal, f"the issuer answers {error_code(error)}")


def error_code(code: object) -> str:
    """Returns the code of an error for the log; a text of another form may be anything."""
    return code if isinstance(code, str) and _ERROR.fullmatch(code) else "an unknown error"
