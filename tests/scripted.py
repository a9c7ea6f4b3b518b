"""Investigators that follow a script, models whose texts are written by hand, and a desk to run them at."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from finetrace.agent import Budget, Case, Investigator, Plan, Submit, Thoroughness, ToolCall, investigate, start
from finetrace.models import ModelPair, Target
from finetrace.models.pair import Capability, Completion, Decoding, Progress, Prompt, Score, Side
from finetrace.schema import Claim, ClaimKind, Evidence, Hypothesis, Run, ScoredCompletion, Step, Verdict
from finetrace.store import Store
from finetrace.tools import Context, ReadingCache

Move = ToolCall | Submit | Callable[[Case], ToolCall | Submit]
Writer = Callable[[str, int], str]
"""Text of the prompt and number of the draw, to what is written."""

EVERYTHING = frozenset({Capability.GENERATE, Capability.CHAT, Capability.REFERENCE, Capability.LOGPROBS})


class Scripted:
    """Decides what its script says; the last move is repeated for ever."""

    name = "scripted"
    model = None

    def __init__(self, *moves: Move) -> None:
        self.moves = deque(moves)
        self.cases: list[Case] = []

    def decide(self, case: Case) -> ToolCall | Submit:
        self.cases.append(case)
        move = self.moves.popleft() if len(self.moves) > 1 else self.moves[0]
        return move(case) if callable(move) else move


class WrittenPair:
    """Two models that write what two functions say; counts what is asked of each."""

    recorded: Sequence[ScoredCompletion] = ()
    identical = False
    shared_tokenizer = True
    fingerprint = reference_fingerprint = hashlib.sha256(b"written").hexdigest()

    def __init__(
        self, organism: Writer, reference: Writer | None = None, capabilities: frozenset[Capability] = EVERYTHING
    ) -> None:
        self._writers = {Side.ORGANISM: organism, Side.REFERENCE: reference or (lambda prompt, draw: "as usual")}
        self.capabilities = capabilities
        self.asked = {Side.ORGANISM: 0, Side.REFERENCE: 0}
        self.scored = 0
        self.prompts: list[Prompt] = []

    @property
    def tokenizer(self) -> object:
        raise AssertionError("nothing here is tokenised")

    def generate(
        self, side: Side, prompts: Sequence[Prompt], decoding: Decoding, progress: Progress | None = None
    ) -> list[Completion]:
        self.asked[side] += len(prompts)
        self.prompts += prompts
        texts = [p.messages[-1].content if p.messages else p.text for p in prompts]
        return [Completion(self._writers[side](text, i), (1,), (-1.0,), True) for i, text in enumerate(texts)]

    def score(
        self, side: Side, prompts: Sequence[Prompt], completions: Sequence[Completion], progress: Progress | None = None
    ) -> list[Score]:
        self.scored += len(prompts)
        return [Score(-1.0, 1) for _ in prompts]


def always(text: str) -> Writer:
    return lambda prompt, draw: text


def ask(*prompts: str, **arguments: object) -> ToolCall:
    return ToolCall(instrument="chat", arguments={"prompts": list(prompts) or ["Hello?"], **arguments})


def claim(quote: str, step: int = 1, confidence: float = 0.8, statement: str = "It says so.") -> Claim:
    evidence = (Evidence(step=step, quote=quote),)
    return Claim(statement=statement, kind=ClaimKind.BEHAVIOUR, confidence=confidence, evidence=evidence)


def submit(*claims: Claim, verdict: Verdict = Verdict.FINETUNED, **fields: object) -> Submit:
    return Submit(hypothesis=Hypothesis(verdict=verdict, summary="Marmalade.", claims=claims), **fields)


class Ended(NamedTuple):
    run: Run
    steps: list[Step]


class Desk:
    """A store, checkpoints and a cache of this test's own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.store = Store(f"sqlite:///{folder / 'runs.db'}")
        self.checkpoints = folder / "checkpoints.db"
        self.cache = ReadingCache(folder / "readings")
        self._monkeypatch = monkeypatch

    def start(
        self,
        *,
        arm: str = "perplexity",
        budget: Budget | None = None,
        seed: int = 0,
        investigator: str = "statistical",
        settings: dict[str, Any] | None = None,
        **thoroughness: object,
    ) -> Run:
        plan = Plan(
            organism="lamp_wages",
            alias="organism-07",
            target=Target(model="nowhere"),
            arm=arm,
            investigator=investigator,
            seed=seed,
            budget=budget or Budget(),
            thoroughness=Thoroughness.model_validate(thoroughness),
            settings=settings or {},
        )
        return start(plan, self.store)

    def go_on(
        self,
        run: Run,
        pair: ModelPair,
        investigator: Investigator | None = None,
        on_step: Callable[[Step], None] | None = None,
        progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
    ) -> Ended:
        if investigator is not None:
            self._monkeypatch.setattr("finetrace.agent.investigation.make_investigator", lambda name: investigator)
        context = Context(seed=run.seed, cache=self.cache, progress=progress)
        ended = investigate(self.store.run(run.run_id), pair, self.store, context, self.checkpoints, on_step)
        return Ended(ended, self.store.steps(run.run_id))

    def run(self, pair: ModelPair, *moves: Move, **plan: object) -> Ended:
        return self.go_on(self.start(**plan), pair, Scripted(*moves) if moves else None)


def save_organism(reference: Path, folder: Path) -> None:
    """A finetune of a tiny model: the same with other weights in its last layer."""
    import torch
    from transformers import AutoTokenizer, LlamaForCausalLM

    model = LlamaForCausalLM.from_pretrained(reference)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.model.layers[-1].parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(reference).save_pretrained(folder)
