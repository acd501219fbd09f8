"""What a timer service tells of its work."""

from unspool.eventstore.records import Fired


class TimerMetrics:
    """Gets what a timer service tells of its work, and ignores it: metrics are off."""

    def fired(self, fired: Fired) -> None:
        """A step has fired due timers, or has found none."""
