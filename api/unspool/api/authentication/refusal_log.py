"""The level of the log for refused logins: warnings, but no sender can fill the log with them."""

import logging

from unspool.api.authentication.failure_limit import FailureLimit


class RefusalLog:
    """How many refused logins of each kind were warnings just now. It belongs to one process."""

    def __init__(self) -> None:
        self._warnings = FailureLimit()

    def level(self, kind: str) -> int:
        """Returns `WARNING` for 20 refusals of a kind at once, and then for one a second; else `INFO`."""
        if self._warnings.seconds_to_wait(kind):
            return logging.INFO
        self._warnings.count(kind)
        return logging.WARNING
