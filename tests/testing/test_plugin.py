"""The plugin for pytest, and the examples of docs/testing.md: a user's tests in a folder of their own."""

import re
import subprocess
import sys
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs/testing.md").read_text()


def pytest_in(folder: Path) -> subprocess.CompletedProcess[str]:
    without = ("-p", "no:cacheprovider", "-p", "no:asyncio")  # which warns if it is not configured
    command = [sys.executable, "-m", "pytest", "-W", "error", *without]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=False)


def test_the_examples_of_the_page_pass(tmp_path: Path) -> None:
    [definition] = re.findall(r"```yaml[^\n]*\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "order.yaml").write_text(definition)
    examples = re.findall(r"```python[^\n]*\n(.*?)```", PAGE, re.DOTALL)
    for number, example in enumerate(examples):
        (tmp_path / f"test_{number}.py").write_text(example)
    ran = pytest_in(tmp_path)
    tests = sum(example.count("def test_") for example in examples)
    assert f"{tests} passed" in ran.stdout, ran.stdout + ran.stderr


def test_the_fixture_reads_files_beside_the_test(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b.yaml").write_text(
        "document: {dsl: '1.0.3', namespace: a, name: b, version: '1.0.0'}\ndo: [{say: {set: {a: 1}}}]\n"
    )
    (tmp_path / "a/test_b.py").write_text(
        "def test_b(unspool_workflow):\n    assert unspool_workflow('b.yaml').run().output == {'a': 1}\n"
    )
    ran = pytest_in(tmp_path)
    assert "1 passed" in ran.stdout, ran.stdout + ran.stderr


def test_the_plugin_loads_nothing_until_it_is_used(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text(
        "import sys\n\ndef test_a():\n    assert 'unspool.pytest_plugin' in sys.modules\n"
        "    assert not {'unspool.testing', 'unspool.worker', 'unspool.definitions'} & set(sys.modules)\n"
    )
    ran = pytest_in(tmp_path)
    assert "1 passed" in ran.stdout, ran.stdout + ran.stderr
