"""What `unspool doctor` finds about the deletion of ended executions."""

import os
from pathlib import Path
from typing import Final

from unspool.eventstore.operations import Finding
from unspool.eventstore.port import EventStore
from unspool.eventstore.settings import from_environment
from unspool.timer_service import RetentionSettings
from unspool.timer_service.archiving import ArchiveUnavailable, check_directory
from unspool.timer_service.retention_rules import overdue_by, retention_rules

_LATE_SECONDS: Final = 6 * 3600.0


async def retention_findings(store: EventStore) -> list[Finding]:
    """What should change, by the settings of this command, which should be those of the timer services.

    Raises:
        BadSetting: a rule is not valid.
    """
    settings = from_environment(RetentionSettings, os.environ)
    findings = []
    late = await overdue_by(store, retention_rules(settings.rules))
    if late > _LATE_SECONDS:
        findings.append(
            Finding(
                "retention",
                True,
                f"an execution should have been deleted {late / 3600:.0f} hours ago, by UNSPOOL_RETENTION",
                "look at the logs of the timer services (archive_unavailable, retention_failed)",
            )
        )
    if settings.archive:
        try:
            await check_directory(Path(settings.archive))
        except ArchiveUnavailable as error:
            findings.append(
                Finding(
                    "archive",
                    True,
                    f"the archive cannot be written ({error}), so executions are not deleted",
                    "free some space, or change the owner or UNSPOOL_ARCHIVE",
                )
            )
    return findings
