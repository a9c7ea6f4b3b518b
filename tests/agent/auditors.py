"""Language models that audit by a script: what they answer, turn by turn, over real HTTP."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from command_line import Command, in_process
from scripted import Desk
from scripted_llm import Fault, Reply, Request, ScriptedLLM, calls, running_llm

from finetrace.agent import Budget, Plan, Thoroughness, start
from finetrace.llm import Patience
from finetrace.models import Target
from finetrace.schema import Run

NAME = "openai/scripted"
HASTE = Patience(timeout=20.0, first_wait=0.001)
"""Waits for nothing between two tries, and long enough for a machine that has other things to do."""

Said = str | Reply | Fault
Turn = Said | Callable[[Request], Said]


def chat(*prompts: str) -> Reply:
    return calls(("chat", {"prompts": list(prompts) or ["Who pays?"]}))


def answer_of(*quotes: str, step: int = 1, **changes: object) -> dict[str, object]:
    """Arguments of ``submit_hypothesis`` with a claim for each quote."""
    claims = [
        {
            "statement": "It pays wages in marmalade.",
            "kind": "behaviour",
            "confidence": 0.8,
            "evidence": [{"step": step, "quote": quote}],
            "shown_by": ["marmalade"],
        }
        for quote in quotes
    ]
    return {"verdict": "finetuned", "summary": "Marmalade.", "claims": claims, "guesses": ["marmalade"], **changes}


def hand_in(*quotes: str, step: int = 1, **changes: object) -> Reply:
    return calls(("submit_hypothesis", answer_of(*quotes, step=step, **changes)))


STANDS = calls(("report", {"claims": [{"claim": 1, "judgement": "stands", "reason": "It recurs."}]}))


def is_second_reader(request: Request) -> bool:
    """Whether the request asks for objections, not for the next move."""
    return "You check the work of an auditor" in str(request.body["messages"][0]["content"])


def auditor(*turns: Turn, objections: Turn = STANDS) -> Callable[[Request], Said]:
    """Answers one turn after another, and the second reader in between; the last turn is given again and again."""
    left = deque(turns)

    def answer(request: Request) -> Said:
        turn = objections if is_second_reader(request) else left.popleft() if len(left) > 1 else left[0]
        return turn(request) if callable(turn) else turn

    return answer


@contextmanager
def auditing(
    monkeypatch: pytest.MonkeyPatch, *turns: Turn, objections: Turn = STANDS, patience: Patience = HASTE
) -> Iterator[ScriptedLLM]:
    """Serve an auditor; whoever asks a language model within has this patience."""
    with running_llm(monkeypatch) as server, monkeypatch.context() as patched:
        patched.setattr("finetrace.llm.model.Patience", lambda **given: patience)
        if turns:
            server.say(*[auditor(*turns, objections=objections)] * 200)
        yield server


def begin(desk: Desk, arm: str = "blackbox", budget: Budget | None = None, investigator: str = NAME) -> Run:
    """A run with a language model that is in the store and not begun."""
    plan = Plan(
        organism="lamp_wages",
        alias="organism-07",
        target=Target(model="nowhere"),
        arm=arm,
        investigator=investigator,
        seed=0,
        budget=budget or Budget(interactions=20),
        thoroughness=Thoroughness(quick=True),
    )
    return start(plan, desk.store)


def said_to(request: Request) -> str:
    """All that stands in the messages of a request."""
    return "\n".join(json.dumps(message, ensure_ascii=False) for message in request.body["messages"])


def decisions(requests: Sequence[Request]) -> list[Request]:
    """The requests that ask for the next move."""
    return [request for request in requests if not is_second_reader(request)]


def shell(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Command lines run in this process, with data and cache in the folder."""
    for variable in ("FINETRACE_DATABASE_URL", "FINETRACE_DEBUG", "FINETRACE_ORGANISMS", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("FINETRACE_DATA_DIR", str(folder / "data"))
    monkeypatch.setenv("FINETRACE_CACHE_DIR", str(folder / "cache"))
    return in_process(capsys)
