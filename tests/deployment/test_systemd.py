"""deploy/systemd: systemd accepts the units, and their commands and settings are real."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.deployment.processes import ROOT, UNSPOOL, check_settings, parse

FOLDER = ROOT / "deploy/systemd"
UNITS = sorted(FOLDER.glob("*.service"))
COMMON = (FOLDER / "unspool-.service.d/common.conf").read_text()
PROGRAM = "/opt/unspool/bin/unspool"
EACH_UNIT = pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)


def settings_in(text: str) -> dict[str, str]:
    """Returns the variables of an environment file; those in comments too."""
    return dict(re.findall(r"^(?:# )?(UNSPOOL_\w+)=(.*)$", text, re.MULTILINE))


def options(unit: Path) -> dict[str, str]:
    """Returns the options of a unit, with those that all units share."""
    return dict(re.findall(r"^(\w+)=(.*)$", COMMON + unit.read_text(), re.MULTILINE))


@EACH_UNIT
def test_command_and_settings_exist(unit: Path) -> None:
    program, *arguments = options(unit)["ExecStart"].split()
    assert program == PROGRAM
    parse(arguments)
    own = dict(re.findall(r"^Environment=(\w+)=(.*)$", unit.read_text(), re.MULTILINE))
    file = settings_in((FOLDER / "unspool.env").read_text())
    check_settings(file | {name: value.replace("%i", "1") for name, value in own.items()})


def test_ports_differ() -> None:
    """Those of templates have the number of the instance as last digit."""
    ports = [
        re.sub("%i", digit, options(unit)["Environment"].split("=")[1])
        for unit in UNITS
        for digit in "0123456789"[: 10 if "@" in unit.name else 1]
    ]
    assert len(set(ports)) == len(ports)


@EACH_UNIT
def test_a_service_may_finish_its_work_before_it_is_killed(unit: Path) -> None:
    found = options(unit)
    assert (found["KillSignal"], found["KillMode"], found["Restart"]) == ("SIGTERM", "mixed", "always")
    assert float(found["TimeoutStopSec"]) >= 2 * 10  # the seconds that a service takes to stop, by default


def test_the_target_wants_units_that_exist() -> None:
    text = (FOLDER / "unspool.target").read_text()
    wanted = [name for line in re.findall(r"^Wants=(.*)$", text, re.MULTILINE) for name in line.split()]
    assert {re.sub(r"@\d+", "@", name) for name in wanted} == {unit.name for unit in UNITS}


@pytest.fixture
def installed(tmp_path: Path) -> list[Path]:
    """Copies of the units, with the program where it is here, and an instance of each template."""
    copied = shutil.copytree(FOLDER, tmp_path / "units")
    found = []
    for unit in copied.glob("*.service"):
        text = unit.read_text().replace(PROGRAM, str(UNSPOOL))
        found.append(unit.with_name(unit.name.replace("@", "@1")))
        found[-1].write_text(text)
    return found


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_accepts_the_units(installed: list[Path]) -> None:
    path = {"PATH": "/usr/bin:/bin", "SYSTEMD_UNIT_PATH": f"{installed[0].parent}:"}
    target = installed[0].with_name("unspool.target")
    command = ["systemd-analyze", "verify", "--man=no", target, *installed]
    verified = subprocess.run(command, env=path, capture_output=True, text=True, timeout=60, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_finds_little_exposure(installed: list[Path]) -> None:
    """Of 10 points; more than 2 are worth a look."""
    path = {"PATH": "/usr/bin:/bin", "SYSTEMD_UNIT_PATH": f"{installed[0].parent}:"}
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", *installed]
    checked = subprocess.run(command, env=path, capture_output=True, text=True, timeout=60, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
