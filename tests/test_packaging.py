"""What is installed: one namespace package made of portions, with all its data files."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[1]
PORTIONS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["dev-mode-dirs"]

PACKAGES = {portion: {portion} for portion in PORTIONS} | {
    "executor": {"executor", "functions"},
    "testing": {"testing", "pytest_plugin"},
}
"""By portion, its packages. Functions import `unspool.functions`, pytest imports `unspool.pytest_plugin`."""

HEAVY = {"opentelemetry", "aiohttp", "starlette", "uvicorn", "redis", "hiredis", "jsonschema", "sqlite3"}
"""Libraries that are slow to import and that not every program needs."""

LIGHT = {
    "unspool.functions": HEAVY | {"pydantic", "msgspec", "orjson", "jsonschema_rs"},
    "unspool.definitions.errors": HEAVY,
    "unspool.definitions.expressions": HEAVY,
    "unspool.eventstore.port": HEAVY,
    "unspool.eventstore.opening": HEAVY,
    "unspool.worker.interpreter": HEAVY,
    "unspool.worker.service": HEAVY - {"jsonschema"},
    "unspool.timer_service": HEAVY,
    "unspool.cli.main": HEAVY,
    "unspool.testing": HEAVY,
    "unspool.pytest_plugin": HEAVY | {"pydantic", "msgspec", "orjson", "jsonschema_rs", "yaml"},
}
"""Modules and the libraries that they must not import."""


def test_few_libraries_are_needed_and_one_extra_has_the_rest() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert len(project["dependencies"]) < 15
    extras = project["optional-dependencies"]
    assert extras["all"] == [f"unspool[{','.join(name for name in extras if name != 'all')}]"]


def test_no_portion_hides_the_others() -> None:
    import unspool

    assert unspool.__file__ is None, "an __init__.py in <folder>/unspool/ hides every other portion"
    assert not list(ROOT.glob("*/unspool/__init__.py"))
    assert {Path(path).parent.name for path in unspool.__path__} >= set(PORTIONS)


def test_each_portion_has_its_packages() -> None:
    for portion, packages in PACKAGES.items():
        found = [path for path in (ROOT / portion / "unspool").iterdir() if path.name != "__pycache__"]
        assert {path.name for path in found} == packages
        for package in found:
            assert (package / "__init__.py").exists()
            assert (package / "py.typed").exists()


def test_each_portion_is_in_the_image() -> None:
    sent = (ROOT / ".dockerignore").read_text().splitlines()
    assert {f"!{portion}" for portion in PORTIONS} <= set(sent)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[PurePosixPath]:
    """The names of the files in the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    # With the backend of this environment: pip would fetch another one.
    build = ("--no-build-isolation", "--no-deps", "--disable-pip-version-check")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", *build, "--wheel-dir", folder, ROOT]
    subprocess.run(command, check=True, timeout=250)
    [built] = folder.glob("unspool-*.whl")
    with zipfile.ZipFile(built) as archive:
        return {PurePosixPath(name) for name in archive.namelist()}


def test_the_wheel_installs_one_name(wheel: set[PurePosixPath]) -> None:
    tops = {name.parts[0] for name in wheel if not name.parts[0].endswith(".dist-info")}
    assert tops == {"unspool"}
    assert {name.parts[1] for name in wheel if name.parts[0] == "unspool"} == set().union(*PACKAGES.values())


def test_the_wheel_has_every_file_of_the_portions(wheel: set[PurePosixPath]) -> None:
    """Scripts, schemas and type markers too, not the modules alone."""
    here = {
        PurePosixPath(path.relative_to(ROOT / portion).as_posix())
        for portion in PORTIONS
        for path in (ROOT / portion / "unspool").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in wheel if name.parts[0] == "unspool"} == here
    assert {name.suffix for name in here} >= {
        ".py",
        ".lua",
        ".sql",
        ".typed",
        ".yaml",
        ".html",
        ".css",
        ".js",
        ".svg",
    }


def test_the_wheel_holds_the_licence(wheel: set[PurePosixPath]) -> None:
    assert any(name.match("*.dist-info/licenses/LICENSE") for name in wheel)


@pytest.mark.parametrize("module", LIGHT)
def test_imports_only_what_it_needs(module: str) -> None:
    program = f"import sys, {module}; print(*sys.modules)"
    modules = subprocess.check_output([sys.executable, "-c", program], text=True, timeout=120)
    assert not LIGHT[module] & set(modules.split())
