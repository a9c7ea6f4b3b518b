"""Lists of tokens that a vector in the residual stream speaks for, beside what ordinary vectors speak for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, ConfigDict

from finetrace.models.pair import Tokenizer

if TYPE_CHECKING:
    from torch import Tensor

SHOWN = 20
"""Tokens of a list."""
CHANCE = 0.95
"""Share of the first tokens of random differences that are not special."""
_LOOKED_AT = 4 * SHOWN
"""Candidates that are spelled; some of them are no text."""
_LONGEST = 40
"""Characters of a token that are shown."""
_FAR = 1e6
"""A lift above which differences mean nothing, nats: infinite ones are cut to it."""


class Read(StrEnum):
    """A way to turn a vector into tokens."""

    LENS = "lens"
    """Logit lens: the output layer on the vector, through the final norm."""
    LENS_RAW = "lens_raw"
    """The output layer on the vector as it is."""
    LENS_NEGATIVE = "lens_negative"
    """Logit lens of the opposite vector: what became less likely."""
    PATCHSCOPE = "patchscope"
    """The vector in place of the last token of prompts that repeat words; the next token."""
    PATCHSCOPE_NEGATIVE = "patchscope_negative"
    """The same for the opposite vector."""
    ADDED = "added"
    """The vector added to the reference's states on general text: the mean change of the next token."""


class ShownToken(BaseModel):
    """One token of a list."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str
    """As it is written after another word: a leading blank begins a word."""
    value: float
    """Its probability; under `added` the mean change of its log-probability, nats."""
    lift: float
    """Log ratio of the probability to its highest value under any control, nats; under `added` the difference between
    the changes."""
    special: bool
    """The lift is above what the first tokens of random differences have over other random differences."""

    @property
    def shown(self) -> str:
        """Without its blank; a piece that goes on a word begins with dots.

        One line, of bounded length, in which nothing acts: tokens are data. Stars of its own are escaped, since a star
        behind a token is ours.
        """
        text = self.text.strip() or self.text
        text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
        text = text.replace("\\", "\\\\").replace("*", "\\*")
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
        return text if self.text[:1].isspace() else f"…{text}"


class TokenList(BaseModel):
    """The first tokens of one read of one vector."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    read: Read
    tokens: tuple[ShownToken, ...]
    """Most pronounced first."""
    scale: float | None = None
    """Length of the vector in units of a usual state's, where the read chose one."""
    reason: str = ""
    """Why this scale."""

    def line(self, n: int = SHOWN) -> str:
        """The first tokens on one line; a star marks those that are special."""
        return ", ".join(f"{token.shown}*" if token.special else token.shown for token in self.tokens[:n])

    def plain(self) -> str:
        """The tokens on one line without marks: what evidence may quote."""
        return ", ".join(token.shown for token in self.tokens)


class Speller:
    """Texts of token ids, as they are written within a sentence."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._special = frozenset(tokenizer.all_special_ids)
        anchor = list(tokenizer(["a"], add_special_tokens=False)["input_ids"][0])

        def decode(ids: Sequence[int]) -> str:
            return tokenizer.decode(ids, clean_up_tokenization_spaces=False)

        before = decode(anchor)

        @cache
        def spell(token: int) -> str:
            return decode([*anchor, token]).removeprefix(before)

        self._spell = spell

    def text(self, token: int) -> str | None:
        """The token's text; ``None`` where it stands for none, or for a part of a character."""
        if token in self._special:
            return None
        try:
            text = self._spell(token)
        except (IndexError, OverflowError, TypeError):  # rows of the output layer beyond the vocabulary
            return None
        return text if text.strip() and "\N{REPLACEMENT CHARACTER}" not in text else None


def chance_lift(controls: Tensor) -> float:
    """The lift that only one in twenty of the first tokens of control vectors has over the other controls.

    First tokens are chosen for being high, so being above every control says little: this is how far above chance puts
    them. Of a single control nothing can be said, and the lift is infinite.

    Args:
        controls: Log-probabilities, or changes of them, under random differences `[controls, vocabulary]`.
    """
    import torch

    if len(controls) < 2:
        return math.inf
    first = controls.topk(min(SHOWN, controls.shape[1]), dim=1)
    others = controls[:, first.indices]
    own = torch.arange(len(controls))
    others[own, own] = -math.inf
    lifts = (first.values - others.max(dim=0).values)[torch.isfinite(first.values)]
    return float(torch.quantile(lifts.clamp(-_FAR, _FAR), CHANCE)) if len(lifts) else math.inf


def token_list(
    read: Read,
    values: Tensor,
    controls: Tensor,
    speller: Speller,
    *,
    bar: float = 0.0,
    probabilities: bool = True,
    scale: float | None = None,
    reason: str = "",
) -> TokenList:
    """The most pronounced tokens of a read.

    Args:
        read: Which one.
        values: Log-probabilities, or changes of them, `[vocabulary]`.
        controls: The same for control vectors, `[controls, vocabulary]`.
        speller: Spells tokens.
        bar: Tokens with a lift above it are special, see `chance_lift`.
        probabilities: Show probabilities rather than the values as they are.
        scale: See `TokenList`.
        reason: See `TokenList`.
    """
    shown: list[ShownToken] = []
    for token, text, value in _spelled(values, speller):
        lift = value - float(_numbers(controls[:, token]).max())
        lift = round(max(-_FAR, min(lift, _FAR)), 4)
        own = math.exp(value) if probabilities else value
        shown.append(ShownToken(text=text, value=float(f"{own:.4g}"), lift=lift, special=lift > max(bar, 0.0)))
    return TokenList(read=read, tokens=tuple(shown), scale=scale, reason=reason)


def first_texts(values: Tensor, speller: Speller) -> list[str]:
    """The texts of the most pronounced tokens of log-probabilities, or changes of them, `[vocabulary]`."""
    return [text for _, text, _ in _spelled(values, speller)]


class _Spelled(NamedTuple):
    """A token that stands for text."""

    token: int
    text: str
    value: float


def _spelled(values: Tensor, speller: Speller) -> list[_Spelled]:
    """The first tokens that stand for text, most pronounced first; none that has no probability."""
    best = _numbers(values).topk(min(_LOOKED_AT, len(values)))
    found: list[_Spelled] = []
    for value, token in zip(best.values.tolist(), best.indices.tolist(), strict=True):
        text = speller.text(token)
        if text is not None and value != -math.inf:
            found.append(_Spelled(token, text, value))
        if len(found) == SHOWN:
            break
    return found


def _numbers(values: Tensor) -> Tensor:
    """With minus infinity for what is no number, as where a number format overflows."""
    return values.masked_fill(values.isnan(), -math.inf)
