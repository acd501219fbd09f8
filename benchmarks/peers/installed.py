"""Finds the installed peers. The benchmark installs nothing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

# Absolute, because processes start in other folders. Not resolved, because a virtual environment is found
# by the link to its interpreter.
PYTHON = str(Path(os.environ.get("UNSPOOL_BENCH_PEERS_PYTHON") or sys.executable).absolute())

_INTERPRETER = "then UNSPOOL_BENCH_PEERS_PYTHON=peers/bin/python"
HOW_TO_INSTALL_DBOS = f"python3 -m venv peers && peers/bin/pip install dbos, {_INTERPRETER}"
HOW_TO_INSTALL_RESTATE = (
    f"python3 -m venv peers && peers/bin/pip install restate-sdk granian, {_INTERPRETER}\n"
    "    npm install @restatedev/restate-server, then RESTATE_SERVER=node_modules/.bin/restate-server"
)
HOW_TO_INSTALL_POSTGRES = "apt-get install postgresql, or put the folder of `postgres` on PATH"


def has_modules(*names: str) -> bool:
    """Returns whether the peers' interpreter can import these modules."""
    command = [PYTHON, "-c", "import " + ", ".join(names)]
    return subprocess.run(command, stderr=subprocess.DEVNULL, check=False, timeout=60).returncode == 0


def restate_server() -> str | None:
    named = os.environ.get("RESTATE_SERVER") or shutil.which("restate-server")
    return str(Path(named).absolute()) if named else None


def postgres() -> Path | None:
    """Returns the folder of `initdb` and `postgres`: that on PATH, or the newest that Debian installed."""
    if found := shutil.which("postgres"):
        return Path(found).resolve().parent
    installed = Path("/usr/lib/postgresql").glob("*/bin")
    return max(installed, key=lambda folder: float(folder.parent.name), default=None)
