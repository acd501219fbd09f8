"""Definitions on the pages are valid, and data is data."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.docs.markdown import Block, blocks, pages

HEAD = "document: { dsl: '1.0.3', namespace: docs, name: part, version: '1.0.0' }\n"
BLOCKS = [block for page in pages() for block in blocks(page)]
NOTHING = "do: [ { nothing: { set: { a: 1 } } } ]\n"


def _definition(block: Block) -> str | None:
    """Returns the definition that a block is, or is a part of; nothing if it is something else."""
    content = yaml.safe_load(block.text)
    if isinstance(content, list):
        return f"{HEAD}do:\n{block.text}"
    if not content.keys() & {"document", "do", "use"}:
        return None
    head = "" if "document" in content else HEAD
    return head + block.text + ("" if "do" in content else NOTHING)


def test_every_definition_is_valid_as_the_page_says(tmp_path: Path) -> None:
    expected, files = {}, []
    for block in (block for block in BLOCKS if block.language == "yaml" and _definition(block)):
        file = tmp_path / f"{block.page.stem}_{block.line}.yaml"
        file.write_text(str(_definition(block)))
        files.append(file.name)
        if finds := block.remarks.get("finds"):
            expected[file.name] = finds
    assert len(files) > 30
    unspool = Path(sys.executable).with_name("unspool")
    command = [unspool, "validate", *files]
    checked = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    found = re.findall(r"^([\w-]+\.yaml):\d+:\d+: (.*)$", checked.stdout + checked.stderr, re.MULTILINE)
    wrong = [(file, text) for file, text in found if expected.get(file, "\0") not in text]
    assert wrong == []
    assert {file for file, _ in found} == set(expected)


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if block.language == "json"], ids=lambda block: block.name
)
def test_json_can_be_read(block: Block) -> None:
    """`[…]` and `{…}` stand for what is left out."""
    read: Any = json.loads(block.text.replace("[…]", "[]").replace("{…}", "{}"))
    assert read
