"""Compiles `.proto` files in a process of its own, which has limits of time and memory.

It reads `{"main": NAME, "files": {NAME: TEXT}}` from standard input, writes the files to the current
directory, which is empty, and prints the descriptors in base64. Errors of the compiler are on standard error.
"""

import base64
import contextlib
import json
import resource
import sys
from pathlib import Path

_CPU_SECONDS = 10
_MEMORY_BYTES = 512 * 1024 * 1024
_FILE_BYTES = 32 * 1024 * 1024
_OUTPUT = Path("..descriptors")
"""No file of a `.proto` can have this name."""


def _limit() -> None:
    limits = {
        resource.RLIMIT_CPU: _CPU_SECONDS,
        resource.RLIMIT_AS: _MEMORY_BYTES,
        resource.RLIMIT_FSIZE: _FILE_BYTES,
        resource.RLIMIT_CORE: 0,
    }
    for kind, limit in limits.items():
        with contextlib.suppress(OSError, ValueError):  # an operator may have set a lower limit
            resource.setrlimit(kind, (limit, limit))


def main() -> int:
    """Compiles; returns the exit code."""
    _limit()
    given = json.load(sys.stdin.buffer)
    try:
        for name, text in given["files"].items():
            file = Path(name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8", errors="replace")
    except OSError:  # it is imported as a file and as a directory
        sys.stderr.write(f"{name}: it cannot be written\n")
        return 1
    import grpc_tools  # noqa: PLC0415 - after the limits are set
    from grpc_tools import protoc  # noqa: PLC0415

    well_known = Path(grpc_tools.__file__).parent / "_proto"
    options = ["--include_imports", f"--descriptor_set_out={_OUTPUT}", "-I.", f"-I{well_known}"]
    code: int = protoc.main(["protoc", *options, given["main"]])
    if code == 0:
        sys.stdout.write(base64.b64encode(_OUTPUT.read_bytes()).decode())
    return code


if __name__ == "__main__":
    sys.exit(main())
