"""Changes of a run that the interpreter makes for every task, without `_replace`."""

from unspool.worker.interpreter.run import Phase, Run

RUN = Run(**{name: name for name in Run._fields})


def test_a_run_that_starts_keeps_its_other_members():
    started = RUN._replace(phase=Phase.RUNNING, started_at=7, input={"a": 1}, data={"a": 1})
    assert RUN.started(7, {"a": 1}) == started


def test_a_run_with_other_data_keeps_its_other_members():
    assert RUN.with_data([1]) == RUN._replace(data=[1])
