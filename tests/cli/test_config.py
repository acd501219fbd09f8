"""`unspool config`."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_setting_in_the_code_is_listed(unspool):
    declared = {
        variable
        for file in ROOT.glob("*/unspool/**/*.py")
        for variable in re.findall(r'setting\(\s*"(UNSPOOL_\w+)"', file.read_text())
    }
    listed = {line["variable"] for line in unspool("config", "--json").lines}
    assert listed >= declared
    assert "UNSPOOL_STORE" in listed


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


def test_the_embedded_store_is_in_the_data_directory(unspool, home):
    lines = {line["variable"]: line for line in unspool("config", "--json").lines}
    assert lines["UNSPOOL_STORE"]["value"] == f"sqlite:///{home}/data/unspool/unspool.db"


def test_a_misspelt_setting_is_named_with_the_one_that_is_meant(unspool, monkeypatch):
    monkeypatch.setenv("UNSPOOL_WORKER_BATHC", "7")
    monkeypatch.setenv("UNSPOOL_SECRET_TOKEN", "hush")
    said = unspool("config").stderr
    assert said == "unspool: UNSPOOL_WORKER_BATHC is not a setting, did you mean 'UNSPOOL_WORKER_BATCH'?\n"
