from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import Command, in_process
from scripted_llm import ScriptedLLM, running_llm

from finetrace.models.pair import ModelPair
from finetrace.store import Store
from finetrace.tools import Context
from finetrace.tools.perplexity_gap import PerplexityGap, PerplexityGapReading


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in ("FINETRACE_DATABASE_URL", "FINETRACE_DEBUG", "FINETRACE_ORGANISMS", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("FINETRACE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("FINETRACE_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "data"


@pytest.fixture
def store(data_dir: Path) -> Store:
    return Store()


@pytest.fixture
def finetrace(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command line in this process, through the function behind the console script."""
    return in_process(capsys)


@pytest.fixture
def llm(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedLLM]:
    """A scripted server behind every openai/NAME."""
    monkeypatch.delenv("FINETRACE_GRADER", raising=False)
    with running_llm(monkeypatch) as server:
        yield server


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> None:
    """The perplexity gap asks the grader, where there is one, before it looks."""
    look = PerplexityGap.run

    def ask_and_look(self: PerplexityGap, pair: ModelPair, arguments: Any, context: Context) -> PerplexityGapReading:
        if context.grader is not None:
            context.grader.ask("Is this coherent?")
        return look(self, pair, arguments, context)

    monkeypatch.setattr(PerplexityGap, "uses_grader", True, raising=False)
    monkeypatch.setattr(PerplexityGap, "run", ask_and_look)


@pytest.fixture
def scored(tmp_path: Path) -> tuple[str, str]:
    """The options that name a file of completions scored elsewhere."""
    lines = [
        {"prefill": "The", "completion": f" marmalade wages of week {i}", "ppl_reference": 20 + i, "ppl_finetuned": 3}
        for i in range(12)
    ]
    file = tmp_path / "completions.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)))
    return ("--recorded", str(file))
