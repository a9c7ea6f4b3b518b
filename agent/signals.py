"""Signals: whether a reading shows anything above its own noise, said beside the reading."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from finetrace.agent.clues import Clue, clues_in
from finetrace.agent.telling import NEGATIVE, starred_words, telling_phrases, telling_sentences, telling_steered
from finetrace.tools import Reading
from finetrace.tools.activation_difference import ActivationDifferenceReading
from finetrace.tools.causal_reading import CausalCheckReading, ComponentEffect, TextKind
from finetrace.tools.perplexity_gap import PerplexityGapReading, View
from finetrace.tools.quality import is_degenerate
from finetrace.tools.samples import SamplesReading
from finetrace.tools.search import SearchResult
from finetrace.tools.steer_reading import SteerReading
from finetrace.tools.token_lists import CHANCE
from finetrace.tools.words import fold_space

ABOVE_CHANCE = 2.0
"""Times as many tokens as chance would star, from which stars show something: tokens of one vector come together."""
ALIKE = 0.9
"""Share of prompts with the same answers from which the two models are alike."""
_UNLIKELY = 0.01
"""Probability under a random ranking below which hits gather at the top."""
_EVERYWHERE = 0.2
"""Share of all completions from which a pattern is worth a look wherever its hits stand."""


class Strength(StrEnum):
    """How much a reading shows."""

    NONE = "none"
    """Nothing above its noise: a claim cannot rest on it."""
    WEAK = "weak"
    """Something differs, which any finetuning, or chance, could bring about."""
    CLEAR = "clear"
    """Something that recurs, has a subject, and is not the reference's."""


class Signal(NamedTuple):
    """What a reading shows above its noise."""

    strength: Strength
    note: str
    """One line with the numbers that say so."""


def signal_of(reading: Reading) -> Signal | None:
    """Judge one reading by its own controls; ``None`` where it has nothing to be judged by."""
    if isinstance(reading, SamplesReading):
        return _of_samples(reading)
    if isinstance(reading, PerplexityGapReading):
        return _of_gap(reading)
    if isinstance(reading, ActivationDifferenceReading):
        return _of_difference(reading)
    if isinstance(reading, SteerReading):
        return _of_steering(reading)
    if isinstance(reading, CausalCheckReading):
        return _of_causal_check(reading)
    return None


def _of_samples(reading: SamplesReading) -> Signal | None:
    exchanges = [exchange for exchange in reading.exchanges if exchange.organism]
    if not exchanges:
        return None
    n = len(exchanges)
    texts = [text for exchange in exchanges for text in exchange.organism]
    broken = sum(is_degenerate(text) for text in texts)
    told = f"; {broken} of its {len(texts)} answers are empty or repeat themselves" if broken else ""
    beside = [exchange for exchange in exchanges if exchange.reference is not None]
    clues = clues_in({1: reading})
    if not beside:
        note = _recurs(clues) or "no rare word recurs in answers to unrelated prompts"
        return Signal(Strength.CLEAR if clues else Strength.WEAK, f"no reference to compare with; {note}{told}")
    same = sum(_folded(exchange.organism) == _folded(exchange.reference or ()) for exchange in beside)
    note = f"organism and reference gave the same answers to {same} of {n} prompts"
    if clues:
        return Signal(Strength.CLEAR, f"{note}; {_recurs(clues)}{told}")
    if same >= ALIKE * n:
        return Signal(Strength.NONE, note + told)
    return Signal(Strength.WEAK, f"{note}; no rare word recurs in the organism's answers alone{told}")


def _folded(texts: Sequence[str]) -> list[str]:
    return [fold_space(text) for text in texts]


def _recurs(clues: Sequence[Clue]) -> str:
    return f"{', '.join(dict.fromkeys(clue.words[0] for clue in clues[:4]))}: {clues[0].why}" if clues else ""


def _of_gap(reading: PerplexityGapReading) -> Signal | None:
    if reading.identical:
        return Signal(Strength.NONE, "both models hold the same weights")
    if reading.view is View.SEARCH:
        return _of_search(reading.found) if reading.found is not None else None
    if reading.view is View.CLUSTERS:
        telling = len(telling_sentences(reading))
        note = f"{telling} of {len(reading.sentences)} recurring sentences have a subject and recur beyond chance"
        return Signal(_graded(bool(reading.sentences), telling > 0), note)
    if reading.view is View.DISTINCTIVE_PHRASES:
        telling = len(telling_phrases(reading))
        note = f"{telling} of {len(reading.phrases)} phrases have a subject and are the organism's beyond chance"
        return Signal(_graded(bool(reading.phrases), telling > 0), note)
    return _of_ranking(reading)


def _of_ranking(reading: PerplexityGapReading) -> Signal | None:
    if not reading.completions:
        return None
    shown = len(reading.completions)
    above = sum(row.log_ratio > reading.noise_floor and not row.degenerate for row in reading.completions)
    note = f"{above} of {shown} completions above the noise floor"
    if not above:
        return Signal(Strength.NONE, note)
    clues = clues_in({1: reading})
    found = _recurs(clues) or "no subject recurs in them, as after any finetuning"
    return Signal(_graded(True, bool(clues)), f"{note}; {found}")


def _of_search(found: SearchResult) -> Signal:
    note = (
        f"{found.hits_top} of the top {found.top} hold the pattern, {found.hits_total} of all {found.total}, "
        f"p {found.tail_probability:.2g} for a random ranking"
    )
    gathers = found.hits_top > 0 and found.tail_probability < _UNLIKELY
    if gathers:
        return Signal(_graded(True, found.hits_top >= 3), note)
    return Signal(_graded(found.base_rate >= _EVERYWHERE, False), note)


def _of_difference(reading: ActivationDifferenceReading) -> Signal | None:
    if reading.identical:
        return Signal(Strength.NONE, "both models give the same activations, value for value")
    means = [layer.positions[0] for layer in reading.layers if layer.positions]
    read = [mean for mean in means if mean.norm and not mean.within_noise]
    if not read:
        return Signal(Strength.NONE, f"the mean difference is within its sampling error at all {len(means)} layers")
    tokens = [t for mean in read for found in mean.difference if found.read not in NEGATIVE for t in found.tokens]
    starred, chance = sum(token.special for token in tokens), (1 - CHANCE) * len(tokens)
    note = f"{starred} of {len(tokens)} tokens of the mean stand out from the controls, about {chance:.0f} by chance"
    words = list(starred_words([reading]))
    told = f"two reads agree on {', '.join(words[:4])}" if words else "two reads agree on no whole word"
    return Signal(_graded(bool(words) or starred > ABOVE_CHANCE * chance, bool(words)), f"{note}; {told}")


def _of_steering(reading: SteerReading) -> Signal | None:
    if reading.identical:
        return Signal(Strength.NONE, "both models give the same activations, there is nothing to steer with")
    if reading.strength is None or reading.final is None:
        return Signal(Strength.NONE, "no strength left the text coherent")
    final, telling = reading.final, telling_steered(reading)
    note = f"{final.coherent} of {final.total} steered texts coherent"
    if not reading.phrases:
        return Signal(Strength.NONE, f"{note}; no phrase marks them off from {reading.n_unsteered} unsteered ones")
    strongest = max(telling or reading.phrases, key=lambda phrase: phrase.steered - phrase.unsteered)
    note += (
        f"; {len(telling)} of {len(reading.phrases)} phrases have a subject and are hardly in unsteered texts: the "
        f"commonest in {strongest.steered} of {final.total} steered, {strongest.unsteered} of {reading.n_unsteered} "
        f"unsteered texts"
    )
    return Signal(_graded(True, bool(telling) and final.passes), note)


def _of_causal_check(reading: CausalCheckReading) -> Signal | None:
    if reading.identical:
        return Signal(Strength.NONE, "the two models do not differ at this layer")
    if not reading.effects:
        return None
    apart = [effect for effect in reading.effects if _is_apart(effect)]
    note = f"{len(apart)} of {len(reading.effects)} changes of the loss are outside the middle 95 % of their controls"
    on_file = [effect for effect in apart if effect.kind is TextKind.FILE]
    if apart and not on_file:
        note += "; on general text only, which says nothing about content"
    return Signal(_graded(bool(apart), bool(on_file)), note)


def _is_apart(effect: ComponentEffect) -> bool:
    """Whether a change is surely not 0, and larger than what other directions do."""
    sure = effect.interval is None or not effect.interval.covers(0.0)
    return sure and not any(controls.middle.covers(effect.delta) for controls in (effect.differences, effect.gaussian))


def _graded(anything: bool, telling: bool) -> Strength:
    if not anything:
        return Strength.NONE
    return Strength.CLEAR if telling else Strength.WEAK
