"""The files of the dashboard: what is vendored, what they reference, and how they are served."""

import json
import re
from hashlib import sha256
from pathlib import Path

import pytest

import unspool.dashboard
from unspool.dashboard import PAGES

STATIC = Path(unspool.dashboard.__file__).parent / "static"
VENDOR = STATIC / "vendor"
OWN = sorted(path for path in STATIC.rglob("*") if path.is_file() and VENDOR not in path.parents)


def test_vendored_files_are_what_their_packages_have() -> None:
    listed = {
        file["path"]: file["sha256"]
        for package in json.loads((VENDOR / "vendor.json").read_text())
        for file in package["files"]
    }
    found = {
        path.relative_to(VENDOR).as_posix(): sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.rglob("*")
        if path.is_file() and path.name != "vendor.json"
    }
    assert found == listed


def test_every_vendored_package_has_its_licence() -> None:
    for package in json.loads((VENDOR / "vendor.json").read_text()):
        assert package["version"]
        [licence] = [file["path"] for file in package["files"] if file["path"].endswith("LICENSE")]
        name = {"MIT": "MIT License", "Apache-2.0": "Apache License"}[package["licence"]]
        assert name in (VENDOR / licence).read_text()


@pytest.mark.parametrize("file", OWN, ids=lambda path: path.relative_to(STATIC).as_posix())
def test_no_file_references_another_host_or_parses_text_as_html(file: Path) -> None:
    text = file.read_text()
    hosts = re.findall(r"(?:https?:)?//[\w.-]+\.[a-z]{2,}[^\s\"'`]*", text)
    assert [host for host in hosts if host != "http://www.w3.org/2000/svg"] == []
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text
    )
    assert "url(" not in text


@pytest.mark.parametrize("file", OWN, ids=lambda path: path.relative_to(STATIC).as_posix())
def test_every_imported_file_is_there(file: Path) -> None:
    for imported in re.findall(r'from "(\.[^"]+)"', file.read_text()):
        assert (file.parent / imported).is_file(), imported
    for served in re.findall(r'(?:href|src)="/static/([^"]+)"', file.read_text()):
        assert (STATIC / served).is_file(), served


async def test_every_view_is_served_with_a_strict_policy(server) -> None:
    for path in PAGES:
        async with server.session.get(server.url + re.sub(r"\{\w+\}", "x", path)) as response:
            assert response.status == 200
            assert response.content_type == "text/html"
            policy = response.headers["Content-Security-Policy"]
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["Referrer-Policy"] == "no-referrer"
        assert "unsafe" not in policy
        for part in ("default-src 'self'", "object-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"):
            assert part in policy.split("; ")


async def test_files_are_sent_once(server) -> None:
    address = f"{server.url}/static/main.js"
    async with server.session.get(address) as response:
        assert response.content_type == "text/javascript"
        tag = response.headers["ETag"]
    async with server.session.get(address, headers={"If-None-Match": tag}) as response:
        assert response.status == 304


@pytest.mark.parametrize(
    "path", ["/static/", "/static/no.js", "/static/..%2fpages.py", "/static/%2e%2e/pages.py", "/no"]
)
async def test_other_paths_are_not_found(server, path) -> None:
    async with server.session.get(server.url + path) as response:
        assert response.status == 404
        assert response.content_type == "application/problem+json"
