"""Imports run one way: evals > agent > tools > models > schema, and nothing imports the command line."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest
from source_imports import Source, imported, room_of, sources

_GROUND = {"finetrace", "errors"}
_DATA = _GROUND | {"schema", "settings"}
_MODELS = _DATA | {"models"}
_LLM = _DATA | {"llm", "redaction"}
_TOOLS = _MODELS | {"tools", "llm"}
_AGENT = _TOOLS | {"agent", "store"}
ALLOWED = {
    "finetrace": _GROUND,
    "errors": _GROUND,
    "schema": _GROUND | {"schema"},
    "settings": _GROUND | {"settings"},
    "registry_form": _DATA,
    "registry_yaml": _GROUND,
    "registry_names": _GROUND,
    "registry_file": _DATA | {"registry_form", "registry_yaml"},
    "registry": _DATA | {"registry_file", "registry_names"},
    "redaction": _GROUND | {"redaction"},
    "escaping": _GROUND,
    "store": _DATA | {"store", "redaction"},
    "llm": _LLM,
    "models": _MODELS,
    "tools": _TOOLS,
    "agent": _AGENT,
    "evals": _AGENT | {"evals", "registry", "registry_file", "registry_names"},
    "report": _AGENT | {"evals", "report", "escaping"},
    "export": _AGENT | {"evals", "registry", "report", "export"},
    "cli": _AGENT | {"evals", "registry", "report", "export", "escaping", "cli"},
}
BARE = {"agent", "tools", "evals"}


def _wrong_imports(source: Source) -> list[str]:
    if source.name.endswith("__main__"):
        return []
    if source.room not in ALLOWED:
        return [f"{source.name} stands in no known room: give '{source.room}' its place in ALLOWED"]
    wrong = []
    for module in imported(source):
        if module.split(".")[0] in BARE:
            wrong.append(f"{source.name} imports {module}: write finetrace.{module}")
        elif module.startswith("finetrace.") and room_of(module) in _ROOMS - ALLOWED[source.room]:
            wrong.append(f"{source.name} imports {module}")
    return wrong


_ROOMS = set(ALLOWED)


def test_every_room_imports_only_what_is_below_it() -> None:
    found = sources()
    assert len(found) > 20
    assert [wrong for source in found for wrong in _wrong_imports(source)] == []


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("finetrace.models.pair", "from finetrace.tools.chat import Chat"),
        ("finetrace.models.pair", "from finetrace import tools"),
        ("finetrace.tools.chat", "def f():\n    import finetrace.agent.graph"),
        ("finetrace.tools.chat", "from ..agent import graph"),
        ("finetrace.agent.graph", "import importlib\nimportlib.import_module('finetrace.evals.truth')"),
        ("finetrace.evals.grading.grade", "from finetrace.cli import main"),
        ("finetrace.store.database", "from finetrace.registry import load_registry"),
        ("finetrace.schema.run", "from finetrace.settings import get_settings"),
        ("finetrace.agent.graph", "from tools.chat import Chat"),
        ("finetrace.cli.runs", "from finetrace.registry_file import read_registry"),
        ("finetrace.models.pair", "from finetrace.llm import LanguageModel"),
        ("finetrace.llm.model", "from finetrace.tools.chat import Chat"),
        ("finetrace.report.page", "from finetrace.cli.escaping import visible"),
        ("finetrace.evals.statistics.outcome", "from finetrace.report import run_report"),
        ("finetrace.attic", "x = 1"),
    ],
)
def test_the_scan_notices_an_import_that_runs_upwards(name: str, code: str) -> None:
    assert _wrong_imports(Source(name, ast.parse(code)))


def test_one_module_imports_litellm() -> None:
    assert [s.name for s in sources() if any(m.split(".")[0] == "litellm" for m in imported(s))] == [
        "finetrace.llm.client"
    ]


def test_help_loads_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from finetrace.cli import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "except SystemExit as ended:\n    assert not ended.code, ended.code\n"
        "print(' '.join(sorted({name.split('.')[0] for name in sys.modules})), file=sys.stderr)\n"
    )
    heavy = {"torch", "transformers", "peft", "langgraph", "litellm", "scipy", "numpy", "sqlmodel", "sqlalchemy"}
    for arguments in (["--help"], ["runs", "--help"], ["runs", "show", "--help"], ["doctor", "--help"], ["--version"]):
        done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)
        loaded = set(done.stderr.split())
        assert "typer" in loaded
        assert loaded & (heavy | {"yaml", "inspect_ai"}) == set()


def test_no_package_is_loaded_under_its_bare_name() -> None:
    script = (
        "import sys, finetrace.cli, finetrace.agent, finetrace.tools, finetrace.evals\n"
        "print(sorted(name for name in sys.modules if name.split('.')[0] in {'agent', 'tools', 'evals'}))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
