"""The README has an example of each kind of task, which says what it prints. `test_pages.py` runs them."""

import re

from tests.docs.markdown import ROOT, blocks

KINDS = {
    *("call", "do", "emit", "for", "fork", "listen", "raise", "set", "switch", "try", "wait"),
    *("run: shell", "run: script", "run: workflow"),
}


def test_each_kind_of_task_has_an_example() -> None:
    examples = [block for block in blocks(ROOT / "README.md") if block.language == "bash"]
    titles = re.findall(r"<summary><code>(.*?)</code>", (ROOT / "README.md").read_text())
    assert set(titles) == KINDS
    assert len(examples) == len(titles)
    assert all(example.prints is not None for example in examples)
