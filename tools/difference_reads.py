"""A mean difference as tokens: every read at one layer, for each position and for their mean, with its controls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, ConfigDict

from finetrace.models.pair import ModelPair, Side
from finetrace.tools.added import Added
from finetrace.tools.beginnings import general_rows
from finetrace.tools.instrument import Context
from finetrace.tools.mean_difference import DifferenceSettings, MeanDifference
from finetrace.tools.patchscope import IDENTITY_PROMPTS, Patchscope
from finetrace.tools.token_lists import Read, Speller, TokenList, chance_lift, token_list

if TYPE_CHECKING:
    from torch import Tensor

READ_POSITIONS = 8
"""Single positions that are turned into tokens, at most; the mean over all ordinary ones always is."""
WITHIN_NOISE = 2.0
"""A norm below so many standard errors is called noise."""
_ADDED_TEXTS = 48
_ADDED_TOKENS = 5
_FEW = 8
"""Random differences under reads that need a forward pass each."""
_LENSES = {Read.LENS: (1.0, True), Read.LENS_RAW: (1.0, False), Read.LENS_NEGATIVE: (-1.0, True)}
_PATCHES = {Read.PATCHSCOPE: 1.0, Read.PATCHSCOPE_NEGATIVE: -1.0}


class PositionRead(BaseModel):
    """One vector: the difference at one position, or its mean over the ordinary positions."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    position: int | None
    """Counted from the first content token; ``None`` for the mean."""
    sink: bool
    """An attention sink: a huge constant state that carries no content."""
    norm: float
    """Length of the difference."""
    noise: float | None
    """Its standard error over texts; unknown for the mean over positions."""
    agreement: float | None
    """Cosine between the differences of two halves of the texts."""
    difference: tuple[TokenList, ...]
    """One list a read."""
    reference: tuple[TokenList, ...]
    """The same reads of the reference's mean activation."""

    @property
    def within_noise(self) -> bool:
        """Whether texts alone could make it."""
        return self.noise is not None and self.norm < WITHIN_NOISE * self.noise


class LayerRead(BaseModel):
    """All that was read at one layer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    layer: int
    """Counted from 0."""
    depth: float
    """From 0 (first block) to 1 (last)."""
    scale: float
    """Usual norm of the organism's states here, attention sinks left out."""
    positions: tuple[PositionRead, ...]
    """The mean over ordinary positions first, then the single ones."""
    random: tuple[TokenList, ...]
    """The same reads averaged over differences of random activations: what shows whatever is read."""

    def lines(self) -> list[str]:
        """Norms, then the lists of the mean over positions beside their controls."""
        mean, *single = self.positions
        norms = ", ".join(_norm(p, self.scale) for p in single)
        lines = [f"layer {self.layer} (depth {self.depth:.2f}), usual norm {self.scale:.4g}; difference: {norms}"]
        for place, found in enumerate(mean.difference):
            at = f" at {found.scale:g} times the usual norm" if found.scale is not None else ""
            lines.append(f"  {found.read}{at}: {found.line()}")
            lines.append(f"    controls: random differences: {_first(self.random[place])}")
            lines.append(f"    controls: reference's mean: {_first(mean.reference[place])}")
        return lines

    def position_lines(self) -> list[str]:
        """The lists of single positions."""
        lines = []
        for position in self.positions[1:]:
            flags = " [attention sink]" if position.sink else " [within noise]" if position.within_noise else ""
            lines.append(f"layer {self.layer}, position {position.position}{flags}")
            lines += [f"  {found.read}: {found.line()}" for found in position.difference]
        return lines


def _norm(position: PositionRead, scale: float) -> str:
    noise = "" if position.noise is None else f" ± {position.noise:.2g}"
    sink = " (sink)" if position.sink else ""
    return f"position {position.position} {position.norm:.3g}{noise} = {position.norm / scale:.1%}{sink}"


def _first(found: TokenList, n: int = 8) -> str:
    return ", ".join(token.shown for token in found.tokens[:n])


class _Vector(NamedTuple):
    """What is read."""

    position: int | None
    difference: Tensor
    reference: Tensor


def read_layer(
    pair: ModelPair,
    difference: MeanDifference,
    layer: int,
    reads: Sequence[Read],
    on: Side,
    settings: DifferenceSettings,
    context: Context,
) -> LayerRead:
    """Turn the differences at one layer into tokens.

    Args:
        pair: The models.
        difference: What was measured.
        layer: One of its layers.
        reads: Which reads, in the order wanted.
        on: Whose layers carry on under lens and Patchscope.
        settings: Of the measurement: the same general text serves the read `added`.
        context: Seed, cache, grader.
    """
    place = difference.place(layer)
    vectors = _vectors(difference, layer)
    reader = _Reader(pair, difference, layer, on, settings, context)
    lists = {read: reader.read(read, vectors) for read in dict.fromkeys(reads)}
    return LayerRead(
        layer=layer,
        depth=round(layer / max(1, difference.n_layers - 1), 4),
        scale=float(f"{difference.scale[place]:.6g}"),
        positions=tuple(_position(difference, place, vectors[i], i, list(lists.values())) for i in range(len(vectors))),
        random=tuple(found.random for found in lists.values()),
    )


def _vectors(difference: MeanDifference, layer: int) -> list[_Vector]:
    """The mean over ordinary positions, then the first single ones."""
    place = difference.place(layer)
    found, other = difference.difference.tensor[place], difference.reference_mean.tensor[place]
    ordinary = list(difference.ordinary)
    single = [_Vector(p, found[p], other[p]) for p in range(min(len(found), READ_POSITIONS))]
    return [_Vector(None, difference.pooled(layer), other[ordinary].mean(0)), *single]


class _Lists(NamedTuple):
    """One read of all vectors."""

    difference: list[TokenList]
    reference: list[TokenList]
    random: TokenList


def _position(
    difference: MeanDifference, place: int, vector: _Vector, index: int, lists: Sequence[_Lists]
) -> PositionRead:
    p = vector.position
    return PositionRead(
        position=p,
        sink=p is not None and p not in difference.ordinary,
        norm=float(f"{float(vector.difference.norm()):.6g}"),
        noise=None if p is None else difference.noise[place][p],
        agreement=None if p is None else difference.agreement[place][p],
        difference=tuple(found.difference[index] for found in lists),
        reference=tuple(found.reference[index] for found in lists),
    )


class _Reader:
    """The reads at one layer."""

    def __init__(
        self,
        pair: ModelPair,
        difference: MeanDifference,
        layer: int,
        on: Side,
        settings: DifferenceSettings,
        context: Context,
    ) -> None:
        self._pair, self._difference, self._layer, self._on = pair, difference, layer, on
        self._settings, self._context = settings, context
        self._random = difference.controls.tensor[difference.place(layer)]
        self._scale = difference.scale[difference.place(layer)]
        self._speller = Speller(pair.tokenizer)

    def read(self, read: Read, vectors: Sequence[_Vector]) -> _Lists:
        """One read of all vectors, with the same read of their controls."""
        if read in _LENSES:
            return self._lens(read, vectors)
        return self._patchscope(read, vectors) if read in _PATCHES else self._added(vectors)

    def _lens(self, read: Read, vectors: Sequence[_Vector]) -> _Lists:
        import torch

        sign, normed = _LENSES[read]

        def lens(states: Tensor) -> Tensor:
            return self._pair.interior.lens(self._on, states, normed=normed)

        own = lens(sign * torch.stack([v.difference for v in vectors]))
        other = lens(torch.stack([v.reference for v in vectors]))
        lengths = self._random.norm(dim=-1, keepdim=True).clamp_min(1e-12)
        usual = torch.stack([v.difference.norm() for v in vectors]).median()
        random = lens(self._random / lengths * usual)
        return self._lists(read, own, other, random)

    def _lists(self, read: Read, own: Tensor, other: Tensor, random: Tensor, *, probabilities: bool = True) -> _Lists:
        """Lists of the differences `[vectors, vocabulary]` and of their controls."""
        import torch

        bar = chance_lift(random)

        def shown(values: Tensor, controls: Tensor) -> TokenList:
            return token_list(read, values, controls, self._speller, bar=bar, probabilities=probabilities)

        return _Lists(
            [shown(o, torch.cat([r[None], random])) for o, r in zip(own, other, strict=True)],
            [shown(r, random) for r in other],
            shown(_mean(random, probabilities), other),
        )

    def _patchscope(self, read: Read, vectors: Sequence[_Vector]) -> _Lists:
        import torch

        front = list(self._pair.interior.front_ids)
        encoded = self._pair.tokenizer(list(IDENTITY_PROMPTS), add_special_tokens=False)["input_ids"]
        prompts = [front + list(ids) for ids in encoded]
        scope = Patchscope(self._pair.interior, self._on, prompts, self._layer, self._scale, self._random)
        lists = _Lists([], [], token_list(read, torch.zeros(1), torch.zeros(1, 1), self._speller))
        for i, vector in enumerate(vectors):
            chosen = scope.choose(_PATCHES[read] * vector.difference)
            controls = scope.at(torch.cat([vector.reference[None], self._random[:_FEW]]), chosen.scale)
            bar = chance_lift(controls[1:])
            reason = f"two prompts share {chosen.overlap:.0%} of their first tokens, {chosen.expected:.0%} by chance"
            lists.difference.append(
                token_list(read, chosen.logps, controls, self._speller, bar=bar, scale=chosen.scale, reason=reason)
            )
            lists.reference.append(
                token_list(read, controls[0], controls[1:], self._speller, bar=bar, scale=chosen.scale, reason=reason)
            )
            if i == 0:
                random = _mean(controls[1:], True)
                shown = token_list(read, random, controls[:1], self._speller, bar=bar, scale=chosen.scale)
                lists = lists._replace(random=shown)
        return lists

    def _added(self, vectors: Sequence[_Vector]) -> _Lists:
        """All vectors at the length of the first, so that they share their controls."""
        import torch

        rows = general_rows(self._pair, self._settings.corpora, _ADDED_TEXTS, _ADDED_TOKENS, self._context)
        front = list(self._pair.interior.front_ids)
        added = Added(self._pair.interior, torch.tensor([front + list(row) for row in rows]), self._layer)
        length = vectors[0].difference.norm()

        def changes(given: Sequence[Tensor]) -> Tensor:
            return torch.stack([added.change(v / v.norm().clamp_min(1e-12) * length) for v in given])

        own = changes([v.difference for v in vectors])
        # One ordinary state serves for all positions: pushing towards it costs a forward pass each.
        other = changes([vectors[0].reference]).expand(len(vectors), -1)
        return self._lists(Read.ADDED, own, other, changes(list(self._random[:_FEW])), probabilities=False)


def _mean(values: Tensor, probabilities: bool) -> Tensor:
    """Mean over control vectors `[controls, vocabulary]`."""
    found: Tensor = values.exp().mean(0).log() if probabilities else values.mean(0)
    return found
