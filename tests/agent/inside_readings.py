"""Readings of the inside instruments, made by hand."""

from __future__ import annotations

from collections.abc import Sequence

from sample_runs import make_step

from finetrace.models.pair import Side
from finetrace.schema import Step
from finetrace.tools.activation_difference import ActivationDifferenceReading
from finetrace.tools.difference_reads import LayerRead, PositionRead
from finetrace.tools.token_lists import Read, ShownToken, TokenList


def token_list(tokens: Sequence[str], special: Sequence[str] = (), read: Read = Read.ADDED) -> TokenList:
    shown = (ShownToken(text=t, value=0.1, lift=1.0, special=t in special) for t in tokens)
    return TokenList(read=read, tokens=tuple(shown))


def difference_reading(
    *lists: Sequence[str], special: Sequence[str] = (), sink: Sequence[str] = (), identical: bool = False
) -> ActivationDifferenceReading:
    """One layer for each list of tokens, with the same list at position 1; ``sink`` stands at position 0."""
    layers = [
        LayerRead(
            layer=place,
            depth=place / max(1, len(lists) - 1),
            scale=100.0,
            positions=(
                _position(None, token_list(tokens, special)),
                _position(0, token_list(sink), sink=True),
                _position(1, token_list(tokens, special)),
            ),
            random=(token_list([" of"]),),
        )
        for place, tokens in enumerate(lists)
    ]
    return ActivationDifferenceReading(
        instrument="activation_difference",
        n_texts=100,
        n_layers=len(lists) + 1,
        on=Side.ORGANISM,
        identical=identical,
        layers=tuple(layers),
    )


def _position(position: int | None, found: TokenList, *, sink: bool = False) -> PositionRead:
    return PositionRead(
        position=position,
        sink=sink,
        norm=10.0,
        noise=None if position is None else 0.1,
        agreement=None if position is None else 0.99,
        difference=(found,),
        reference=(token_list([" the"]),),
    )


def difference_step(number: int, reading: ActivationDifferenceReading) -> Step:
    return make_step(number, instrument="activation_difference", arguments={}, reading=reading.model_dump(mode="json"))
