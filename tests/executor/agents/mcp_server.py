"""An MCP server made with the official library: `python mcp_server.py http` or `python mcp_server.py stdio`.

Over HTTP it is on a free port, which it prints. `/mcp` has sessions and streams of events, `/plain` has
neither, `/private` needs the token `open-sesame`.
"""

import asyncio
import os
import socket
import subprocess
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.shared.exceptions import MCPError
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount


def write(file: str, text: str) -> None:
    """Writes a file so that a reader sees all of it or nothing."""
    Path(f"{file}.new").write_text(text)
    Path(f"{file}.new").rename(file)


class Nothing(BaseModel):
    pass


def make_server() -> MCPServer:
    server = MCPServer("test", version="7.0", log_level="ERROR")
    add_tools(server)
    add_tools_that_end_badly(server)

    @server.prompt()
    def greeting(name: str) -> str:
        return f"Greet {name}"

    @server.resource("config://app")
    def config() -> str:
        return "colour: green"

    @server.resource("users://{number}/name")
    def user(number: str) -> str:
        return f"user {number}"

    return server


def add_tools(server: MCPServer) -> None:

    @server.tool()
    def add(a: int, b: int) -> int:
        return a + b

    @server.tool(structured_output=False)
    def echo(text: str) -> str:
        return text

    @server.tool()
    def fail() -> str:
        raise ToolError("out of order")

    @server.tool()
    def refuse() -> str:
        raise MCPError(-32042, "refused for a reason")

    @server.tool()
    async def progress(context: Context) -> str:
        for step in range(3):
            await context.report_progress(step, 3)
        return "done"

    @server.tool()
    async def ask(context: Context) -> str:
        """Asks the client, which has no model."""
        return str(await context.elicit("what?", schema=Nothing))

    @server.tool(structured_output=False)
    def key(context: Context) -> str:
        meta = context.request_context.meta or {}
        return str(meta.get("idempotencyKey"))

    @server.tool(structured_output=False)
    def trace(context: Context) -> str:
        meta = context.request_context.meta or {}
        return str(meta.get("traceparent"))

    @server.tool(structured_output=False)
    def client(context: Context) -> dict[str, str]:
        info = context.session.client_params.client_info
        return {"name": info.name, "version": info.version}

    @server.tool(structured_output=False)
    def environment() -> dict[str, str]:
        return dict(os.environ)


def add_tools_that_end_badly(server: MCPServer) -> None:
    @server.tool()
    async def wait(file: str) -> str:
        """Writes to a file that it has started, and that it was cancelled."""
        write(file, f"started {os.getpid()}")
        try:
            await asyncio.sleep(3600)
        except BaseException:
            write(file, "cancelled")
            raise
        return "late"

    @server.tool()
    async def child(file: str) -> str:
        """Starts a process that does not end, and waits."""
        process = subprocess.Popen(["sleep", "3600"], stdin=subprocess.DEVNULL)
        write(file, f"{os.getpid()} {process.pid}")
        await asyncio.sleep(3600)
        return "late"

    @server.tool()
    def leave() -> str:
        os.write(2, b"the server has a problem: PASSWORD=hunter2-long\n")
        os._exit(3)

    @server.tool()
    def babble() -> str:
        os.write(1, b"this is no message\n")
        return "ok"

    @server.tool()
    def flood() -> str:
        while True:
            os.write(1, b"x" * 65536)


class Private:
    """Refuses requests without the token."""

    def __init__(self, app) -> None:
        self.app = app

    async def __call__(self, scope, receive, send) -> None:
        headers = dict(scope.get("headers", ()))
        if scope["type"] == "http" and headers.get(b"authorization") != b"Bearer open-sesame":
            response = PlainTextResponse("no", 401, headers={"WWW-Authenticate": "Bearer"})
            await response(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def serve_http() -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    server = make_server()
    stateful = server.streamable_http_app(streamable_http_path="/")
    plain = make_server().streamable_http_app(
        streamable_http_path="/", json_response=True, stateless_http=True
    )

    @asynccontextmanager
    async def lifespan(_):
        async with AsyncExitStack() as stack:
            for app in (stateful, plain):
                await stack.enter_async_context(app.router.lifespan_context(app))
            yield

    app = Starlette(
        routes=[Mount("/mcp", stateful), Mount("/plain", plain), Mount("/private", Private(plain))],
        lifespan=lifespan,
    )
    os.write(1, f"{listening.getsockname()[1]}\n".encode())
    config = uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1)
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    serve_http() if sys.argv[1] == "http" else make_server().run("stdio")
