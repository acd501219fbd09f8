"""The service that turns due timers into messages, and the one that deletes what has ended."""

from unspool.timer_service.retention import RetentionService, RetentionSettings
from unspool.timer_service.service import TimerService, TimerSettings

__all__ = ["RetentionService", "RetentionSettings", "TimerService", "TimerSettings"]
