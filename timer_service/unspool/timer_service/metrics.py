"""What timers and retention tell of their work."""

from unspool.eventstore.results import Fired


class TimerMetrics:
    """Gets what a timer service tells of its work, and ignores it: metrics are off."""

    def fired(self, fired: Fired) -> None:
        """A step has fired due timers, or has found none."""


class RetentionMetrics:
    """Gets what the retention service tells of its work, and ignores it: metrics are off."""

    def deleted(self, executions: int) -> None:
        """Executions were deleted."""

    def archived(self, executions: int) -> None:
        """Histories were written to the archive."""

    def not_archived(self) -> None:
        """The history of an execution is damaged, so the execution is kept."""

    def discarded(self, dead_letters: int) -> None:
        """Dead letters were discarded after their time."""

    def events_archived(self, events: int) -> None:
        """Published events were written to the archive."""

    def texts_deleted(self, texts: int) -> None:
        """Texts of external resources were deleted, because no stored execution can use them."""

    def turned(self, *, fails: bool, behind: float) -> None:
        """A turn has ended. `behind`: for how many seconds the first execution that is left has been due."""
