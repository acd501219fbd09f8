"""External resources on the command line: a replay uses the text of the execution (inventory L5, R5)."""

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

STORE = ("--store", "sqlite:///past.db")


@pytest.fixture
def served() -> Iterator[dict[str, str]]:
    """Texts by path, which a server on `served["url"]` returns."""
    texts: dict[str, str] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = texts.get(self.path, "").encode()
            self.send_response(200 if body else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        texts["url"] = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield texts
        server.shutdown()
        thread.join()


def definition(home: Path, do: str) -> str:
    head = "document: {dsl: '1.0.3', namespace: test, name: w, version: '1.0.0'}\n"
    (home / "w.yaml").write_text(head + do)
    return "w.yaml"


def test_a_replay_uses_the_text_of_the_execution(program, unspool, home, served):
    served["/f.yaml"] = "set: ${ .n * 2 }"
    file = definition(home, f"do: [{{a: {{call: '{served['url']}/f.yaml', with: {{n: 21}}}}}}]")
    ran = program("run", file, *STORE)
    assert (ran.code, ran.json) == (0, 42)
    [execution] = unspool("executions", "list", "--json", *STORE).lines

    served["/f.yaml"] = "set: ${ .n * 3 }"
    assert unspool("replay", execution["id"], "--verify", *STORE).code == 0
    assert unspool("history", execution["id"], "--export", "past.jsonl", *STORE).code == 0
    del served["/f.yaml"]
    assert unspool("replay", "past.jsonl", "--verify").code == 0
    assert unspool("replay", "past.jsonl", "--definition", file).code == 0


def test_an_export_without_the_text_says_so(program, unspool, home, served):
    served["/f.yaml"] = "set: ${ 1 }"
    program("run", definition(home, f"do: [{{a: {{call: '{served['url']}/f.yaml'}}}}]"), *STORE)
    [execution] = unspool("executions", "list", "--json", *STORE).lines
    unspool("history", execution["id"], "--export", "past.jsonl", *STORE)
    lines = (home / "past.jsonl").read_text().splitlines()
    first = json.loads(lines[0])
    del first["execution"]["resources"]
    (home / "past.jsonl").write_text("\n".join([json.dumps(first), *lines[1:]]))
    result = unspool("replay", "past.jsonl", "--verify")
    assert result.code == 2
    assert "/f.yaml is missing" in result.stderr


def test_relative_addresses_of_a_file_that_is_run_begin_beside_it(program, home):
    # L1
    (home / "schemas").mkdir()
    (home / "schemas/number.yaml").write_text("type: number")
    schema = "input: {schema: {resource: {endpoint: schemas/number.yaml}}}\n"
    file = definition(home, schema + "do: [{a: {set: '${ . }'}}]")
    assert program("run", file, "--input", "7", *STORE).json == 7
    assert program("run", file, "--input", '"x"', *STORE).code == 1
    # An empty setting counts as not set.
    assert program("run", file, "--input", "7", *STORE, UNSPOOL_RESOURCES_DIR="").json == 7


def test_validate_reports_an_address_that_reads_what_changes(unspool, home):
    address = "'${ $context.schemas }/a.json'"
    do = f"do: [{{a: {{set: {{n: 1}}, output: {{schema: {{resource: {{endpoint: {address}}}}}}}}}}}]"
    result = unspool("validate", definition(home, do))
    assert result.code == 2
    assert "$context cannot be read in the address of a resource" in result.stdout


def test_validate_checks_the_file_of_a_function(unspool, home):
    # R1
    (home / "function.yaml").write_text("input: {from: .n}\nset: ${ . * 2 }\n")
    assert unspool("validate", "function.yaml").code == 0
    (home / "function.yaml").write_text("call: http\nwith:\n  method: get\n  endpoint: ${ .a[ }\n")
    result = unspool("validate", "function.yaml")
    assert result.code == 2
    assert result.stdout.startswith("function.yaml:4:")
    assert result.stdout.rstrip().endswith("(/with/endpoint)")
    (home / "function.json").write_text("[]")
    assert "a function is a task" in unspool("validate", "function.json").stdout


def test_the_state_shows_the_resources_and_their_hashes(program, unspool, home, served):
    served["/f.yaml"] = "set: ${ 1 }"
    program("run", definition(home, f"do: [{{a: {{call: '{served['url']}/f.yaml'}}}}]"), *STORE)
    [execution] = unspool("executions", "list", "--json", *STORE).lines
    sha256 = hashlib.sha256(b"set: ${ 1 }").hexdigest()
    key = f"function {served['url']}/f.yaml"
    replayed = unspool("replay", execution["id"], "--json", *STORE).json
    assert replayed["state"]["resources"] == {key: sha256}
    shown = unspool("replay", execution["id"], "--at", "3", *STORE).stdout
    assert f"{key}  is being fetched" in shown
    assert "waits for an external resource" in shown
