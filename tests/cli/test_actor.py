"""Who ran a command, in the histories that it changed."""

import getpass


def actors(unspool, id_, *options):
    """Returns the events of a history that say who asked for them."""
    events = unspool("history", id_, "--json", *options).lines
    return [(e["type"], e["data"]["by"], e["data"].get("reason")) for e in events if "by" in e["data"]]


def test_commands_record_their_user(program, unspool, start_program, home):
    user, place = f"cli:{getpass.getuser()}", ("--store", f"sqlite:///{home}/s.db")
    assert unspool("deploy", "sleep.yaml", *place).code == 0
    assert unspool("start", "shop/sleep", "--id", "one", *place).code == 0
    with start_program("worker", *place) as worker:
        try:
            assert unspool("executions", "suspend", "one", "--timeout", "60", *place).code == 0
            cancel = ("executions", "cancel", "one", "--timeout", "60", "--reason", "ordered twice", *place)
            assert unspool(*cancel).code == 0
        finally:
            worker.terminate()
            worker.communicate(timeout=60)
    assert actors(unspool, "one", *place) == [
        ("workflow.started", user, None),
        ("workflow.suspended", user, None),
        ("workflow.cancelled", user, "ordered twice"),
    ]
    shown = unspool("history", "one", *place).stdout
    assert "ordered twice" in shown
    assert user in shown
    assert f"by         {user}" in unspool("executions", "show", "one", *place).stdout
    verified = unspool("replay", "one", "--verify", *place)
    assert verified.code == 0, verified.stderr


def test_a_long_reason_is_refused(unspool, home):
    result = unspool("executions", "cancel", "one", "--reason", "x" * 501)
    assert (result.code, "at most 500 characters" in result.stderr) == (2, True)
