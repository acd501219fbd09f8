"""Output on terminals and in files."""

import io
import json

from hypothesis import given
from hypothesis import strategies as st

from unspool.cli.output import json_text, print_table
from unspool.cli.progress import LiveLines, Progress, task_name
from unspool.cli.terminal import printable, styled
from unspool.eventstore.events import Event


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_styles_are_for_terminals_without_no_color(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert styled("x", "red", Terminal()) == "\x1b[31mx\x1b[0m"
    assert styled("x", "red", io.StringIO()) == "x"
    monkeypatch.setenv("NO_COLOR", "1")
    assert styled("x", "red", Terminal()) == "x"


@given(st.text())
def test_data_cannot_control_a_terminal(text):
    shown = printable(text)
    assert not any((ord(c) < 0x20 and c not in "\t\n") or 0x7F <= ord(c) < 0xA0 for c in shown)
    assert "\u202e" not in shown


@given(st.text())
def test_json_keeps_its_value(text):
    text = text.encode(errors="ignore").decode()
    assert json.loads(json_text({"text": text})) == {"text": text}


def test_tables_are_aligned(capsys):
    print_table(("ID", "STATUS"), [("a", "completed"), ("long one", "faulted\n")])
    assert capsys.readouterr().out.splitlines() == [
        "ID        STATUS",
        "a         completed",
        "long one  faulted",
    ]


def events(*members):
    return [
        Event(seq, type_, time, task, run, data)
        for seq, (type_, time, task, run, data) in enumerate(members, 1)
    ]


HISTORY = events(
    ("workflow.started", 0, None, None, {"input": {}}),
    ("task.created", 0, "/do/0/outer", "1", {"parent": "0"}),
    ("task.started", 0, "/do/0/outer", "1", {}),
    ("task.started", 0, "/do/0/outer/try/0/call", "2", {}),
    (
        "task.faulted",
        1500,
        "/do/0/outer/try/0/call",
        "2",
        {"error": {"title": "Broken", "detail": "pipe\x1b[2J"}},
    ),
    ("task.retried", 1500, "/do/0/outer", "1", {"attempt": 1}),
    ("task.started", 1600, "/do/0/outer/try/0/call", "3", {}),
    ("task.completed", 1850, "/do/0/outer/try/0/call", "3", {"output": 1}),
    ("task.completed", 1850, "/do/0/outer", "1", {"output": 1}),
    ("task.completed", 1850, "/do/1/other", "4", {"skipped": True}),
)


def test_progress_has_a_line_for_each_ended_task():
    assert Progress().add(HISTORY) == [
        ("failed", "outer / call  1.50 s  Broken: pipe\x1b[2J"),
        ("retry", "outer  attempt 2"),
        ("done", "outer / call  0.25 s"),
        ("done", "outer  1.85 s"),
        ("skipped", "other  0.00 s"),
    ]


def test_progress_knows_the_running_task():
    progress = Progress()
    progress.add(HISTORY[:7])
    assert progress.current(now=2600) == "outer / call  1.00 s"
    progress.add(HISTORY[7:])
    assert progress.current(now=2600) == ""


async def test_a_terminal_shows_live_lines_and_a_file_none(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    terminal, file = Terminal(), io.StringIO()
    LiveLines(Progress(), terminal).add(HISTORY)
    LiveLines(Progress(), file).add(HISTORY)
    assert "Broken: pipe\\u001b[2J" in terminal.getvalue()
    assert file.getvalue() == ""


def test_tasks_are_shown_by_name():
    assert task_name("/do/0/loop/do/1/step") == "loop / step"
    assert task_name("/do/0/try/catch/do/0/a~1b") == "try / a/b"
