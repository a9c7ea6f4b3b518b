"""Vectors at one layer as lists of tokens, each beside the same read of its controls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from finetrace.models.pair import ModelPair, Side
from finetrace.tools.added import Added
from finetrace.tools.beginnings import general_rows
from finetrace.tools.grading import choose_scale
from finetrace.tools.instrument import Context
from finetrace.tools.mean_difference import DifferenceSettings
from finetrace.tools.patchscope import IDENTITY_PROMPTS, Chooser, Patched, Patchscope
from finetrace.tools.reading import one_line
from finetrace.tools.token_lists import Read, Speller, TokenList, chance_lift, first_texts, token_list

if TYPE_CHECKING:
    from torch import Tensor

_ADDED_TEXTS = 48
_ADDED_TOKENS = 5
_FEW = 8
"""Random differences under reads that need a forward pass each."""
_LENSES = {Read.LENS: (1.0, True), Read.LENS_RAW: (1.0, False), Read.LENS_NEGATIVE: (-1.0, True)}
_PATCHES = {Read.PATCHSCOPE: 1.0, Read.PATCHSCOPE_NEGATIVE: -1.0}


class ReadVector(NamedTuple):
    """What is read."""

    position: int | None
    """Counted from the first content token; ``None`` for the mean."""
    difference: Tensor
    """`[d_model]`; zero where the models do not differ."""
    reference: Tensor
    """The reference's mean state there, `[d_model]`."""


class LayerVectors(NamedTuple):
    """All that is read at one layer."""

    layer: int
    scale: float
    """Usual norm of the organism's states."""
    vectors: tuple[ReadVector, ...]
    """At least one."""
    random: Tensor
    """Random differences `[n, d_model]`."""


class VectorLists(NamedTuple):
    """One read of all vectors."""

    difference: list[TokenList]
    """One a vector; without tokens where there is no difference."""
    reference: list[TokenList]
    """The same read of the reference's mean state."""
    random: TokenList
    """Averaged over random differences, for the first of the vectors."""


class _Entry(NamedTuple):
    """One read of one vector: values over the vocabulary, see `token_list`."""

    own: Tensor
    reference: Tensor
    random: Tensor
    """`[controls, vocabulary]`."""
    bar: float
    scale: float | None = None
    reason: str = ""


class Tools:
    """What serves all layers.

    Args:
        pair: The models.
        on: Whose layers carry on under lens and Patchscope.
        settings: Of the measurement: the same general text serves the read `added`.
        context: Seed, cache, grader.
    """

    def __init__(self, pair: ModelPair, on: Side, settings: DifferenceSettings, context: Context) -> None:
        self.on, self.interior, self.grader = on, pair.interior, context.grader
        self.speller = Speller(pair.tokenizer)
        self._pair, self._settings, self._context = pair, settings, context

    @cached_property
    def added(self) -> Added:
        """The reference on general text."""
        import torch

        rows = general_rows(self._pair, self._settings.corpora, _ADDED_TEXTS, _ADDED_TOKENS, self._context)
        return Added(self.interior, torch.tensor([[*self.interior.front_ids, *row] for row in rows]))

    @cached_property
    def identity_prompts(self) -> list[list[int]]:
        """Their token ids."""
        encoded = self._pair.tokenizer(list(IDENTITY_PROMPTS), add_special_tokens=False)["input_ids"]
        return [[*self.interior.front_ids, *ids] for ids in encoded]

    def chooser(self, read: Read) -> Chooser | None:
        """Asks the grader which scale reads best; ``None`` where there is none, or nobody reads on from it."""
        grader = self.grader
        if grader is None or read is not Read.PATCHSCOPE:
            return None

        def chosen(logps: Tensor) -> int | None:
            choice = choose_scale(grader, [first_texts(row, self.speller) for row in logps])
            return None if choice is None else choice.place

        return chosen


class LayerReader:
    """The reads at one layer."""

    def __init__(self, tools: Tools, vectors: LayerVectors) -> None:
        self._tools, self._at = tools, vectors
        self._differing = [v for v in vectors.vectors if bool(v.difference.any())]

    def read(self, read: Read) -> VectorLists:
        """One read of all vectors, with the same read of their controls."""
        nothing = TokenList(read=read, tokens=())
        size = len(self._at.vectors)
        lists = VectorLists([nothing] * size, [nothing] * size, nothing)
        if not self._differing:
            return lists
        entries: Callable[[Read], Iterator[_Entry]] = (
            self._lens if read in _LENSES else self._patchscope if read in _PATCHES else self._added
        )
        places = [i for i, v in enumerate(self._at.vectors) if bool(v.difference.any())]
        for i, entry in zip(places, entries(read), strict=True):
            lists.difference[i] = self._list(read, entry, entry.own, with_reference=True)
            lists.reference[i] = self._list(read, entry, entry.reference, with_reference=False)
            if i == places[0]:
                random = token_list(
                    read,
                    _mean(entry.random, probabilities=read is not Read.ADDED),
                    entry.reference[None],
                    self._tools.speller,
                    bar=entry.bar,
                    probabilities=read is not Read.ADDED,
                    scale=entry.scale,
                )
        return lists._replace(random=random)

    def _list(self, read: Read, entry: _Entry, values: Tensor, *, with_reference: bool) -> TokenList:
        import torch

        return token_list(
            read,
            values,
            torch.cat([entry.reference[None], entry.random]) if with_reference else entry.random,
            self._tools.speller,
            bar=entry.bar,
            probabilities=read is not Read.ADDED,
            scale=entry.scale,
            reason=entry.reason,
        )

    def _lens(self, read: Read) -> Iterator[_Entry]:
        """Controls have the length of the vector where length matters: without the norm, which takes it away."""
        import torch

        sign, normed = _LENSES[read]

        def lens(states: Tensor) -> Tensor:
            return self._tools.interior.lens(self._tools.on, states, normed=normed)

        lengths = torch.stack([v.difference.norm() for v in self._differing])
        random = _unit(self._at.random)
        if normed:
            controls = lens(random * lengths.median())
            bar = chance_lift(controls)
        for vector, length in zip(self._differing, lengths, strict=True):
            if not normed:
                controls = lens(random * length)
                bar = chance_lift(controls)
            reference = vector.reference if normed else _unit(vector.reference) * length
            own, other = lens(torch.stack([sign * vector.difference, reference]))
            yield _Entry(own, other, controls, bar)

    @cached_property
    def _scope(self) -> Patchscope:
        tools, at = self._tools, self._at
        return Patchscope(tools.interior, tools.on, tools.identity_prompts, at.layer, at.scale, at.random)

    def _patchscope(self, read: Read) -> Iterator[_Entry]:
        import torch

        vectors = torch.stack([_PATCHES[read] * v.difference for v in self._differing])
        chosen = list(self._scope.choose(vectors, self._tools.chooser(read)))
        scales = [found.scale for found in chosen]
        references = self._scope.agreed(torch.stack([v.reference for v in self._differing]), torch.tensor(scales))
        for found, reference, controls in zip(chosen, references, self._scope.controls(scales), strict=True):
            yield _Entry(
                found.logps, reference, controls, chance_lift(controls), found.scale, self._reason(read, found)
            )

    def _reason(self, read: Read, found: Patched) -> str:
        agree = f"two prompts share {found.overlap:.0%} of their first tokens, {found.expected:.0%} by chance"
        if not found.by_rule and self._tools.grader is not None:
            return f"chosen by the grader {one_line(self._tools.grader.name, 80)}; {agree}"
        if self._tools.chooser(read) is not None:
            return f"chosen by agreement, as the grader's answer could not be read; {agree}"
        return f"chosen by agreement: {agree}"

    def _added(self, read: Read) -> Iterator[_Entry]:
        """All vectors at the length of the first, so that they share their controls."""
        import torch

        length = self._differing[0].difference.norm()
        # One ordinary state serves for all positions: pushing towards it costs a forward pass each.
        given = [*(v.difference for v in self._differing), self._differing[0].reference, *self._at.random[:_FEW]]
        changes = self._tools.added.changes(self._at.layer, _unit(torch.stack(given)) * length)
        n = len(self._differing)
        own, other, random = changes[:n], changes[n], changes[n + 1 :]
        bar = chance_lift(random)
        for change in own:
            yield _Entry(change, other, random, bar)


def _unit(vectors: Tensor) -> Tensor:
    unit: Tensor = vectors / vectors.norm(dim=-1, keepdim=True).clamp_min(1e-12)
    return unit


def _mean(values: Tensor, *, probabilities: bool) -> Tensor:
    """Mean over control vectors `[controls, vocabulary]`."""
    found: Tensor = values.exp().mean(0).log() if probabilities else values.mean(0)
    return found
