"""The service that turns due timers into messages."""

from unspool.timer_service.service import TimerService, TimerSettings

__all__ = ["TimerService", "TimerSettings"]
