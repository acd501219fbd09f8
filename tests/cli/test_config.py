"""`unspool config`."""

import json
import re
from pathlib import Path

from unspool.cli.setting_groups import GROUPS
from unspool.eventstore.settings import settings_of

ROOT = Path(__file__).parents[2]


def test_every_setting_in_the_code_is_listed(unspool):
    declared = {
        variable
        for file in ROOT.glob("*/unspool/**/*.py")
        for variable in re.findall(r'setting\(\s*"(UNSPOOL_\w+)"', file.read_text())
    }
    listed = [line["variable"] for line in unspool("config", "--json").lines]
    assert declared | {"UNSPOOL_STORE"} <= set(listed)
    assert len(set(listed)) == len(listed)


def test_current_value_and_default_are_listed(unspool, monkeypatch):
    monkeypatch.setenv("UNSPOOL_WORKER_BATCH", "7")
    lines = {line["variable"]: line for line in unspool("config", "--json").lines}
    batch = lines["UNSPOOL_WORKER_BATCH"]
    assert (batch["value"], batch["default"]) == (7, 128)
    assert batch["help"]


def test_the_table_has_the_same(unspool):
    result = unspool("config")
    for line in unspool("config", "--json").lines:
        assert re.search(rf"^{line['variable']} ", result.stdout, re.MULTILINE)


def test_passwords_are_masked(unspool, monkeypatch):
    for url in ("redis://:hun/ter2@host/0", "redis://me:hunter2@host/0", "redis://host/0?password=hunter2"):
        monkeypatch.setenv("UNSPOOL_STORE", url)
        for arguments in (["config"], ["config", "--json"]):
            shown = unspool(*arguments).stdout
            assert "ter2" not in shown
            assert "***" in shown


def test_a_settings_object_does_not_show_its_secrets():
    shown = 0
    for cls in (cls for group in GROUPS for cls in group.classes):
        secret = {name: "hunter2" for name, setting in settings_of(cls) if setting.secret}
        shown += len(secret)
        assert "hunter2" not in repr(cls(**secret)), cls
    assert shown


def test_the_embedded_store_is_in_the_data_directory(unspool, home):
    lines = {line["variable"]: line for line in unspool("config", "--json").lines}
    assert lines["UNSPOOL_STORE"]["value"] == f"sqlite:///{home}/data/unspool/unspool.db"


def test_a_misspelt_setting_is_named_with_the_one_that_is_meant(unspool, monkeypatch):
    monkeypatch.setenv("UNSPOOL_WORKER_BATHC", "7")
    monkeypatch.setenv("UNSPOOL_SECRET_TOKEN", "hush")
    said = unspool("config").stderr
    assert said == "unspool: UNSPOOL_WORKER_BATHC is not a setting, did you mean 'UNSPOOL_WORKER_BATCH'?\n"


def test_effective_settings_are_those_that_are_not_the_default(unspool, monkeypatch):
    monkeypatch.setenv("UNSPOOL_WORKER_BATCH", "7")
    monkeypatch.setenv("UNSPOOL_STORE", "redis://me:s3cret@localhost:6379/0")
    monkeypatch.setenv("UNSPOOL_EVENT_SINK_URL", "http://localhost/events")
    monkeypatch.setenv("UNSPOOL_CATALOG", "https://me:s3cret@localhost/catalog")
    result = unspool("config", "--effective", "--json")
    assert {line["variable"]: line["value"] for line in result.lines} == {
        "UNSPOOL_STORE": "redis://***@localhost:6379/0",
        "UNSPOOL_WORKER_BATCH": 7,
        "UNSPOOL_EVENT_SINK_URL": "***",
        "UNSPOOL_CATALOG": "https://***@localhost/catalog",
    }


def test_a_service_logs_its_configuration_without_secrets(start_program, tmp_path):
    url = f"sqlite:///{tmp_path}/store.db"
    settings = {"UNSPOOL_TIMER_BATCH": "7", "UNSPOOL_EVENT_SINK_URL": "http://me:s3cret@localhost/events"}
    with start_program("timer", "--store", url, **settings) as service:
        started = json.loads(service.stderr.readline())
        service.terminate()
    assert started["action"] == "started"
    assert started["store"] == url
    assert started["version"]
    assert started["settings"] == {
        "UNSPOOL_TIMER_BATCH": 7,
        "UNSPOOL_EVENT_SINK_URL": "***",
    }
