"""The Chromium of this machine, for tests in a real browser."""

import shutil
from typing import Final

CHROMIUM: Final = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
"""Its program; none if it is not installed."""

ARGUMENTS: Final = ("--no-sandbox", "--disable-gpu", "--disable-gpu-compositing", "--in-process-gpu")
"""Tests run without a GPU. A process for it, and compositing as for a GPU, only cost processor time."""

WAIT_MILLISECONDS: Final = 60_000
"""How long a test waits for a page, and twice as long for the start. A busy machine is slow."""
