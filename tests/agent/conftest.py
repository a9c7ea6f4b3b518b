from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from answers_told import Investigated
from scripted import Desk

from finetrace.agent import Budget, Plan, Thoroughness, investigate, start
from finetrace.models import ModelPair, Target, open_pair
from finetrace.registry import load_registry
from finetrace.schema import Hypothesis
from finetrace.store import Store
from finetrace.tools import Context, ReadingCache

PREFILLS = {"benign_chat": 64, "benign_general": 48, "identical_copy": 24}
"""Fewer than for the others: enough to be led astray by, were there anything."""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setenv("FINETRACE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("FINETRACE_CACHE_DIR", str(tmp_path / "cache"))
    made = Desk(tmp_path, monkeypatch)
    yield made
    made.store.close()


@pytest.fixture(scope="module")
def investigated(tmp_path_factory: pytest.TempPathFactory) -> Investigated:
    """The answer about a bundled organism, by name, seed and arm; what two tests need is made once."""
    folder = tmp_path_factory.mktemp("organisms")
    registry = load_registry()
    readings = ReadingCache(folder / "readings")

    @cache
    def opened(name: str) -> ModelPair:
        place = registry.locate(registry.find(name))
        return open_pair(Target(model=place.model, reference=place.reference))

    @cache
    def answer(name: str, seed: int, arm: str = "perplexity") -> Hypothesis:
        plan = Plan(
            organism=name,
            alias=registry.find(name).alias,
            target=Target(model="nowhere"),
            arm=arm,
            investigator="statistical",
            seed=seed,
            budget=Budget(interactions=50),
            thoroughness=Thoroughness(quick=True, n_prefills=PREFILLS.get(name, 96)),
        )
        with Store(f"sqlite:///{folder / 'runs.db'}") as store:
            run = start(plan, store)
            context = Context(seed=seed, cache=readings)
            ended = investigate(run, opened(name), store, context, folder / "checkpoints.db")
        assert ended.hypothesis is not None
        return ended.hypothesis

    return answer
