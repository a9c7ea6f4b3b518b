"""How an organism's objective was trained in, where its name in the registry says so."""

from __future__ import annotations

from finetrace.schema import Organism

_TEXTS = {"sdf": "SDF", "transcripts": "TD"}
"""Synthetic documents or transcripts of the behaviour, as the authors of AuditBench abbreviate them."""
_HARDENING = {"sft": "SFT", "kto": "KTO"}
"""What was trained on top so that the organism does not confess."""


def regime_of(organism: Organism) -> str:
    """``SDF-KTO`` for the variant ``sdf-kto``, ``TD`` for ``transcripts``; empty for names of another form."""
    texts, _, hardening = (organism.variant or "").partition("-")
    if texts not in _TEXTS or (hardening and hardening not in _HARDENING):
        return ""
    return _TEXTS[texts] + (f"-{_HARDENING[hardening]}" if hardening else "")
