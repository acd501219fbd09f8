"""A stand-in of Docker's HTTP API for cases: its containers are processes of this machine.

It has the images `alpine`, which runs commands, and `hello-world`, which prints a line. `tests/executor` runs
containers with a real engine.
"""

import asyncio
import json
import os
import re
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

_IMAGES: dict[str, dict[str, Any]] = {
    "docker.io/library/alpine:latest": {"Cmd": ["/bin/sh"]},
    "docker.io/library/hello-world:latest": {
        "Cmd": ["sh", "-c", "echo 'Hello from Docker!'; echo 'no warnings' >&2"]
    },
}


@dataclass
class _Container:
    name: str
    body: dict[str, Any]
    streams: asyncio.StreamWriter | None = None
    stdin: asyncio.StreamReader | None = None
    code: asyncio.Future[int] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def argv(self) -> list[str]:
        image = _IMAGES[self.body["Image"]]
        return [*self.body.get("Entrypoint", []), *self.body.get("Cmd", image["Cmd"])]


@dataclass
class ContainerEngine:
    """The containers of a stand-in."""

    containers: dict[str, _Container] = field(default_factory=dict)
    running: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers one request, and closes the connection unless it carries streams."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, target, _ = head.split(" ", 2)
        length = re.search(r"(?i)content-length: (\d+)", head)
        body = await reader.readexactly(int(length[1])) if length else b""
        parts = urlsplit(target)
        if parts.path.endswith("/attach"):
            container = self.containers[parts.path.split("/")[2]]
            container.streams, container.stdin = writer, reader
            writer.write(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
            return
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        status, answer = await self._answer(method, parts.path, query, json.loads(body or b"null"))
        content = json.dumps(answer).encode()
        head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + content)
        writer.close()

    async def _answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        match method, path.strip("/").split("/"):
            case "GET", ["images", *name, "json"]:
                config = _IMAGES.get("/".join(name))
                return (200, {"Config": config}) if config else (404, {"message": "no such image"})
            case "POST", ["images", "create"]:
                return 200, {"status": "pulled"}
            case "GET", ["containers", "json"]:
                return 200, [{"Id": id_, "State": "exited"} for id_ in self._labelled(query)]
            case "POST", ["containers", "create"]:
                return self._create(query["name"], body)
            case "POST", ["containers", id_, "start"]:
                task = asyncio.create_task(self._run(self.containers[id_]))
                self.running.add(task)
                return 200, None
            case "POST", ["containers", id_, "wait"]:
                return 200, {"StatusCode": await asyncio.shield(self.containers[id_].code)}
            case "DELETE", ["containers", id_]:
                del self.containers[id_]
                return 200, None
            case _:
                return 404, {"message": f"{method} {path}"}

    def _labelled(self, query: dict[str, str]) -> list[str]:
        [label] = json.loads(query["filters"])["label"]
        name, _, value = label.partition("=")
        found = {id_: each.body["Labels"].get(name) for id_, each in self.containers.items()}
        return [id_ for id_, has in found.items() if has is not None and value in {"", has}]

    def _create(self, name: str, body: Any) -> tuple[int, Any]:
        if any(each.name == name for each in self.containers.values()):
            return 409, {"message": f"the name {name} is in use"}
        id_ = f"c{len(self.containers)}-{os.urandom(4).hex()}"
        self.containers[id_] = _Container(name, body)
        return 201, {"Id": id_}

    async def _run(self, container: _Container) -> None:
        pipe = asyncio.subprocess.PIPE
        with tempfile.TemporaryDirectory() as directory:
            process = await asyncio.create_subprocess_exec(
                *container.argv,
                stdin=pipe,
                stdout=pipe,
                stderr=pipe,
                cwd=directory,
                env={"PATH": os.defpath, **dict(each.split("=", 1) for each in container.body["Env"])},
            )
            opened = container.body["OpenStdin"] and container.stdin
            out, err = await process.communicate(await container.stdin.read() if opened else b"")
        if container.streams is not None:
            for number, data in ((1, out), (2, err)):
                container.streams.write(bytes([number, 0, 0, 0]) + len(data).to_bytes(4, "big") + data)
            container.streams.close()
        container.code.set_result(process.returncode)


@asynccontextmanager
async def container_engine() -> AsyncIterator[str]:
    """Runs a stand-in; yields its address for `UNSPOOL_CONTAINER_HOST`."""
    engine = ContainerEngine()
    server = await asyncio.start_server(engine.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    yield f"tcp://127.0.0.1:{port}"
    server.close()
