"""A small MCP server over standard input and output: `stdio_server.py BEHAVIOUR [FILE]`."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def send(value: object) -> None:
    os.write(1, json.dumps(value).encode() + b"\n")


def answer(message: dict[str, Any], value: object) -> None:
    send({"jsonrpc": "2.0", "id": message["id"], "result": value})


def write(text: str) -> None:
    """Writes the file so that a reader sees all of it or nothing."""
    Path(f"{sys.argv[2]}.new").write_text(text)
    Path(f"{sys.argv[2]}.new").rename(sys.argv[2])


def behave(behaviour: str, message: dict[str, Any]) -> None:
    match behaviour:
        case "echo":
            seen = {"arguments": message["params"], "environment": dict(os.environ), "home": str(Path.cwd())}
            answer(message, {"content": [], "structuredContent": seen})
        case "babble":
            os.write(1, b"\nI am thinking ...\n")
            answer(message, {"content": []})
        case "malformed":
            os.write(1, b'{"jsonrpc": "2.0", "id":\n')
        case "another id":
            answer({"id": 99}, {"content": []})
        case "no id":
            send({"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "cannot read this"}})
        case "error":
            send(
                {"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32602, "message": "no such tool"}}
            )
        case "leave":
            os.write(2, f"cannot log in with {os.environ.get('PASSWORD')}\n".encode())
            os._exit(3)
        case "flood" | "wail":
            while True:
                os.write(1 if behaviour == "flood" else 2, b"x" * 65536)
        case "wait" | "stubborn":
            child = subprocess.Popen(["sleep", "3600"])
            write(f"{os.getpid()} {child.pid}")
            if behaviour == "stubborn":
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                time.sleep(3600)


def main() -> None:
    for line in sys.stdin:
        message = json.loads(line)
        if message["method"] == "initialize":
            server = {"name": "small", "version": "1"}
            version = message["params"]["protocolVersion"]
            answer(message, {"protocolVersion": version, "capabilities": {}, "serverInfo": server})
        elif "id" in message:
            behave(sys.argv[1], message)


main()
