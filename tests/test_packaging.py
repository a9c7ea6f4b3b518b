"""The layout holds: one import name for each module, light imports, and a wheel that has everything."""

from __future__ import annotations

import ast
import importlib.util
import os
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = {
    "agent": "finetrace.agent",
    "evals": "finetrace.evals",
    "finetrace": "finetrace",
    "tools": "finetrace.tools",
}
"""Folders at the root and the packages they are."""

HEAVY = {"torch", "transformers", "litellm", "langgraph", "peft", "scipy", "sqlmodel", "wordfreq"}

pytestmark = pytest.mark.skipif(
    not (ROOT / "pyproject.toml").is_file(), reason="needs a checkout: the tests run from elsewhere"
)


def packages_on_disk() -> Iterator[tuple[str, Path]]:
    """Import name and folder of each package; the links within finetrace/ are not followed."""
    for folder, name in ROOMS.items():
        for parent, children, files in os.walk(ROOT / folder):
            children[:] = [child for child in children if not (Path(parent) / child).is_symlink()]
            if "__init__.py" in files:
                inner = Path(parent).relative_to(ROOT / folder).parts
                yield ".".join((name, *inner)), Path(parent)


PACKAGES = dict(packages_on_disk())


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *(arguments or ("-c", code))]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_package_list_equals_the_packages_on_disk():
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert sorted(setuptools["packages"]) == sorted(PACKAGES)
    assert setuptools["package-dir"] == {name: folder for folder, name in ROOMS.items()}


def test_links_lead_to_the_rooms():
    for room in ("agent", "evals", "tools"):
        link = ROOT / "finetrace" / room
        assert link.is_symlink()
        assert os.readlink(link) == f"../{room}"


@pytest.mark.parametrize("name", sorted(PACKAGES))
def test_every_package_says_what_is_public(name: str):
    tree = ast.parse((PACKAGES[name] / "__init__.py").read_text())
    named = [node.targets[0] for node in tree.body if isinstance(node, ast.Assign)]
    named += [node.target for node in tree.body if isinstance(node, ast.AnnAssign)]
    assert "__all__" in {target.id for target in named if isinstance(target, ast.Name)}
    assert ast.get_docstring(tree)


def test_nothing_imports_a_room_by_its_bare_name():
    """Two names would mean two copies of a module, two registries, and classes that are not themselves."""
    names = sorted(name for name in PACKAGES if name != "finetrace")
    code = f"import sys, {', '.join(names)}\nprint(*{{'agent', 'tools', 'evals'}}.intersection(sys.modules))"
    done = python(code)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def test_command_line_loads_nothing_heavy():
    done = python("import finetrace.cli, sys; print(*sys.modules)")
    assert done.returncode == 0, done.stderr
    loaded = {module.split(".")[0] for module in done.stdout.split()}
    assert "finetrace" in loaded
    assert HEAVY.isdisjoint(loaded)


def test_agent_folder_runs_as_the_command():
    done = python("", "-m", "agent", "--help")
    assert done.returncode == 0, done.stderr
    assert "investigate" in done.stdout


def test_running_the_agent_folder_loads_no_module_twice():
    """`python -m agent` loads agent/__init__.py under its bare name, which must not pull its modules along."""
    done = python("import agent, sys; print(*[name for name in sys.modules if name.startswith('agent.')])")
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Names of the files in a wheel built from a copy of the checkout's tracked folders."""
    if importlib.util.find_spec("setuptools") is None:
        pytest.skip("building a wheel without network needs setuptools in the environment")
    import shutil

    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for folder in ROOMS:
        shutil.copytree(ROOT / folder, source / folder, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, source / file)
    build = ["-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(target)]
    done = python("", *build, str(source))
    assert done.returncode == 0, done.stderr
    (built,) = target.glob("*.whl")
    return set(zipfile.ZipFile(built).namelist())


def test_wheel_holds_every_module_and_every_data_file(wheel: set[str]):
    inside = {
        f"{name.replace('.', '/')}/{file.relative_to(ROOT / folder).as_posix()}"
        for folder, name in ROOMS.items()
        for file in (ROOT / folder).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert {"finetrace/tools/data/openings.txt", "finetrace/py.typed", "finetrace/tools/corpora.py"} <= inside
    assert inside <= wheel


def test_wheel_puts_nothing_beside_the_package(wheel: set[str]):
    tops = {name.split("/")[0] for name in wheel}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"finetrace"}
