"""Limits of what answers of an issuer can cost: each one with a code is a request to its token endpoint."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from unspool.api.authentication.failure_limit import FailureLimit
from unspool.api.authentication.login_refusals import LoginRefused, Refusal

MOST_AT_ONCE: Final = 16
"""Answers that one process may check at once."""

MOST_OF_ADDRESS: Final = 4
"""Those of one address, so that it cannot take the places of all."""


class LoginLimits:
    """The answers that are being checked, and those that failed, by their address. It belongs to one process.

    Wrong keys and JWTs have a limit of their own: they do not stop logins.
    """

    def __init__(self) -> None:
        self._failures = FailureLimit()
        self._checked: Counter[str] = Counter()

    @contextmanager
    def checking(self, address: str) -> Iterator[None]:
        """Lets an answer from an address be checked in the block, and counts it if the login fails.

        Raises:
            LoginRefused: too many answers failed, or are being checked.
        """
        if self._failures.seconds_to_wait(address):
            raise LoginRefused(Refusal.TOO_MANY, "there were too many failures")
        if self._checked.total() >= MOST_AT_ONCE or self._checked[address] >= MOST_OF_ADDRESS:
            raise LoginRefused(Refusal.TOO_MANY, "too many logins are under way")
        self._checked[address] += 1
        try:
            yield
        except LoginRefused:
            self._failures.count(address)
            raise
        finally:
            self._checked[address] -= 1
            if not self._checked[address]:
                del self._checked[address]
