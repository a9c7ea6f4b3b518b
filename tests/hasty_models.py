"""Language models that lose no time, for tests against the scripted server."""

from __future__ import annotations

from finetrace.llm import LanguageModel, Message, Patience

HASTE = Patience(timeout=0.25, first_wait=0.001)
QUESTION = [Message("user", "Hello?")]


def model(name: str = "openai/scripted", patience: Patience = HASTE) -> LanguageModel:
    """One that is asked at the scripted server."""
    return LanguageModel(name, patience)
