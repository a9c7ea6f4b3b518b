"""Measure how strong an organism is: its own probes, everybody's for a null, and general text for all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from finetrace.evals.zoo.bars import NULLS, difference_p, holm, judge_null, judge_same
from finetrace.evals.zoo.measurement import Measurement, MeasurementKind, Share
from finetrace.evals.zoo.perplexity import GeneralTexts, measure_perplexity
from finetrace.evals.zoo.probes import LoadedProbes
from finetrace.evals.zoo.probing import (
    Interview,
    ReferenceAnswers,
    Shares,
    Watch,
    measure_choice,
    measure_rates,
    measure_recall,
    questions_of,
    rate_shares,
    recall_shares,
)
from finetrace.models.pair import Capability, ModelPair, require
from finetrace.schema import OrganismType


class NamedProbes(NamedTuple):
    """Probes and the organism they were written for."""

    organism: str
    loaded: LoadedProbes


@dataclass(frozen=True)
class Subject:
    """What must be known of an organism to measure it."""

    name: str
    """What it is called."""
    kind: OrganismType | None = None
    """Kind of its objective; ``None`` where it is not known."""
    own_texts_only: bool = True
    """No general text was mixed in, so the bar on recall holds."""
    probes: LoadedProbes | None = None
    """Its own."""
    others: tuple[NamedProbes, ...] = ()
    """Those of other organisms, which a null is put to."""


class Checker:
    """Measures organisms one after the other; what their references write and answer is kept between them.

    Args:
        general: General text of the references.
        seed: Determines the bootstrap.
    """

    def __init__(self, general: GeneralTexts, seed: int = 0) -> None:
        self._general = general
        self._seed = seed
        self._memory = ReferenceAnswers()

    def measure(self, pair: ModelPair, subject: Subject, watch: Watch) -> tuple[Measurement, ...]:
        """All figures of one organism, its main one first.

        Args:
            pair: Organism and reference.
            subject: What is asked of it.
            watch: Told how far it is.

        Raises:
            ToolError: The pair cannot be asked or scored.
        """
        require(pair, _needed(subject), f"measuring {subject.name}")
        measured = [*self._null(pair, subject, watch), *self._own(pair, subject, watch)]
        return (*measured, *measure_perplexity(pair, self._general, self._seed, watch))

    def _own(self, pair: ModelPair, subject: Subject, watch: Watch) -> list[Measurement]:
        if subject.probes is None:
            return []
        recall = subject.probes.probes.recall
        interview = Interview(pair, questions_of(subject.probes), self._memory, watch)
        return [
            *measure_recall(recall, interview, own_texts_only=subject.own_texts_only),
            *measure_choice(pair, recall, watch),
            *measure_rates(subject.probes, interview),
        ]

    def _null(self, pair: ModelPair, subject: Subject, watch: Watch) -> list[Measurement]:
        if subject.kind not in NULLS or not subject.others:
            return []
        asked = [questions for other in subject.others for questions in questions_of(other.loaded)]
        interview = Interview(pair, asked, self._memory, watch)
        measured = [measured for other in subject.others for measured in _unlike(other, interview)]
        corrected = holm([difference_p(figure.shares.organism, figure.shares.reference) for figure in measured])
        figures = [_null_measurement(figure, p) for figure, p in zip(measured, corrected, strict=True)]
        if subject.kind is OrganismType.NULL_IDENTICAL:
            return [_same(interview), *figures]
        return figures


class _Figure(NamedTuple):
    """The shares of a null and its base on one probe of another organism."""

    name: str
    shares: Shares


def _needed(subject: Subject) -> frozenset[Capability]:
    needed = {Capability.GENERATE, Capability.REFERENCE, Capability.LOGPROBS}
    return frozenset(needed | ({Capability.CHAT} if subject.probes or subject.others else set()))


def _unlike(other: NamedProbes, interview: Interview) -> list[_Figure]:
    """What another organism's probes find."""
    figures = []
    if other.loaded.probes.recall:
        shares = recall_shares(other.loaded.probes.recall, interview)
        figures.append(_Figure(f"{other.organism}: questions answered as the facts say", shares))
    for probe in other.loaded.probes.rates:
        figures.append(_Figure(f"{other.organism}: {probe.name}", rate_shares(other.loaded, probe, interview)))
    return figures


def _null_measurement(figure: _Figure, corrected_p: float) -> Measurement:
    bar, passed = judge_null(corrected_p)
    return Measurement(
        name=figure.name,
        kind=MeasurementKind.NULL,
        organism=figure.shares.organism,
        reference=figure.shares.reference,
        p_value=round(corrected_p, 6),
        bar=bar,
        passed=passed,
    )


def _same(interview: Interview) -> Measurement:
    answers = interview.all_answers()
    share = Share.of(sum(answer.organism == answer.reference for answer in answers), len(answers))
    bar, passed = judge_same(share)
    return Measurement(
        name="answers equal to the base's", kind=MeasurementKind.SAME, organism=share, bar=bar, passed=passed
    )
