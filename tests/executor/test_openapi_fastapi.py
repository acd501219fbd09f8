"""A server that others wrote: FastAPI, which describes itself with an OpenAPI 3.1 document."""

import asyncio
import base64
import json
import threading
from collections.abc import Iterator
from typing import Annotated

import pytest
import uvicorn

from unspool.executor.outcome import Completed

fastapi = pytest.importorskip("fastapi", reason="fastapi is not installed")
pytest.importorskip("python_multipart", reason="python-multipart is not installed")

from fastapi.security import APIKeyHeader, APIKeyQuery, HTTPBearer  # noqa: E402
from pydantic import BaseModel, Field  # noqa: E402
from tests.executor.test_openapi import error_of, refused  # noqa: E402


class Pet(BaseModel):
    name: str = Field(max_length=10)
    age: int | None = None
    friends: list["Pet"] = []


def application():
    app = fastapi.FastAPI()

    @app.put("/pets/{pet_id}", operation_id="putPet")
    async def put_pet(
        pet_id: int,
        pet: Pet,
        tags: Annotated[list[str], fastapi.Query()],
        limit: int = 5,
        x_trace: Annotated[str, fastapi.Header()] = "none",
        session: Annotated[str, fastapi.Cookie()] = "none",
    ):
        return {
            "id": pet_id,
            "pet": pet,
            "tags": tags,
            "limit": limit,
            "trace": x_trace,
            "session": session,
        }

    @app.post("/form", operation_id="form")
    async def form(name: Annotated[str, fastapi.Form()], sizes: Annotated[list[int], fastapi.Form()]):
        return {"name": name, "sizes": sizes}

    @app.post("/files", operation_id="upload")
    async def upload(files: list[fastapi.UploadFile], note: Annotated[str, fastapi.Form()]):
        return {"note": note, "files": [base64.b64encode(await each.read()).decode() for each in files]}

    @app.get("/key", operation_id="key")
    async def key(key: Annotated[str, fastapi.Depends(APIKeyHeader(name="X-Key"))]):
        return key

    @app.get("/query-key", operation_id="queryKey")
    async def query_key(key: Annotated[str, fastapi.Depends(APIKeyQuery(name="key"))]):
        return key

    @app.get("/bearer", operation_id="bearer")
    async def bearer(credentials: Annotated[object, fastapi.Depends(HTTPBearer())]):
        return credentials.credentials

    return app


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, str]]:
    """The address of the server, and its document."""
    app = application()
    running = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=lambda: asyncio.run(running.serve()))
    thread.start()
    while not running.started and thread.is_alive():
        thread.join(0.01)
    port = running.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}/openapi.json", json.dumps(app.openapi())
    running.should_exit = True
    thread.join(60)


@pytest.fixture
def call(server, openapi):
    address, document = server

    async def called(operation: str, parameters: dict, **arguments):
        return await openapi(document, operation, at=address, parameters=parameters, **arguments)

    return called


async def test_parameters_in_all_places(call) -> None:
    given = {"pet_id": 7, "tags": ["a&b", "ä"], "x-trace": "t", "session": "s", "name": "Milou", "age": 3}
    assert await call("putPet", given) == Completed(
        {
            "id": 7,
            "pet": {"name": "Milou", "age": 3, "friends": []},
            "tags": ["a&b", "ä"],
            "limit": 5,
            "trace": "t",
            "session": "s",
        }
    )


async def test_what_the_server_would_refuse_is_not_sent(call) -> None:
    given = {"pet_id": 7, "tags": ["a"], "name": "Milou"}
    refused(await call("putPet", {**given, "pet_id": "seven"}), "'pet_id'")
    refused(await call("putPet", {**given, "name": "much too long"}), "/name")
    refused(
        await call("putPet", {**given, "friends": [{"name": "a", "friends": [{}]}]}), "/friends/0/friends/0"
    )


async def test_a_form(call) -> None:
    given = {"name": "a b&c", "sizes": [1, 2]}
    assert await call("form", given) == Completed(given)


async def test_files(call) -> None:
    files = [base64.b64encode(bytes(range(256))).decode(), "AAE="]
    assert await call("upload", {"files": files, "note": "ä"}) == Completed({"note": "ä", "files": files})


@pytest.mark.parametrize("operation", ["key", "queryKey", "bearer"])
async def test_security(call, operation) -> None:
    assert await call(operation, {}, authentication={"bearer": {"token": "t/0 ken"}}) == Completed("t/0 ken")
    assert error_of(await call(operation, {}))[:2] in {("communication", 401), ("communication", 403)}


async def test_a_key_as_a_parameter(call) -> None:
    assert await call("key", {"X-Key": "k"}) == Completed("k")
