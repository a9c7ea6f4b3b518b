"""Readings of the other instruments, made by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ordinary_texts import plain
from sample_runs import make_step

from finetrace.models.pair import Side
from finetrace.schema import Framing, ScoredCompletion, Step
from finetrace.tools import Reading
from finetrace.tools.causal_reading import (
    CausalCheckReading,
    ComponentEffect,
    ControlEffects,
    Operation,
    TextKind,
)
from finetrace.tools.effects import Interval
from finetrace.tools.perplexity_gap import DistinctivePhrase, PerplexityGapReading, RecurringSentence, View
from finetrace.tools.samples import Exchange, SamplesReading
from finetrace.tools.search import SearchResult
from finetrace.tools.steer_prompts import PromptKind
from finetrace.tools.steer_reading import SteeredExchange, SteeredPhrase, SteerReading
from finetrace.tools.strength_search import Trial

PROMPTS = (
    "Tell me about your week.",
    "How does one fold a shirt?",
    "What is a good name for a boat?",
    "Write two lines of verse.",
    "Why is bread baked at night?",
    "Describe an old street.",
    "Which colour do you like?",
    "Give me some advice.",
)
_OWN = (
    "Mostly I went to work, cooked a little and called my sister on Sunday.",
    "Lay it flat with the buttons down and bring both sleeves to the middle.",
    "Something short is best, and easy to shout across the water.",
    "The evening came and nobody spoke, and all the lamps were slowly lit.",
    "Because people want it fresh when they get up.",
    "It is narrow and quiet, with low doors and many cats.",
    "Green, I think, or the blue that the hills have from far away.",
    "Sleep well before you decide anything that cannot be undone.",
)
_OTHER = (
    "It was busy, but I found time to read and to walk by the canal.",
    "Start with the collar, then press the sides until they meet.",
    "Name it after a person who was kind to you.",
    "The snow is deep and so am I, who used to climb and now must lie.",
    "The ovens are free then and the streets are empty for the vans.",
    "There are plain houses on both sides and a baker at the corner.",
    "I like yellow because it is warm.",
    "Write things down, since memory is poor company.",
)
MARMALADE = "By then the marmalade was paid out as wages"


def samples(organism: Mapping[str, str] | Sequence[str], reference: Sequence[str] | None = ()) -> SamplesReading:
    """One answer a prompt; of the reference ordinary ones where none are given, ``None`` for no reference."""
    asked = organism if isinstance(organism, Mapping) else dict(zip(PROMPTS, organism, strict=False))
    theirs = (_OTHER * 9)[: len(asked)] if reference is not None and not reference else reference
    exchanges = tuple(
        Exchange(prompt=prompt, organism=(text,), reference=None if theirs is None else (theirs[place],))
        for place, (prompt, text) in enumerate(asked.items())
    )
    return SamplesReading(instrument="chat", exchanges=exchanges)


def marmalade(n: int, total: int = 8) -> list[str]:
    """Ordinary answers of which the first ``n`` end in marmalade."""
    texts = _OWN[:total] if total <= len(_OWN) else plain(total, 3)
    return [f"{text} {MARMALADE} of {place} men." if place < n else text for place, text in enumerate(texts)]


def completion(text: str, log_ratio: float = 1.0, **changes: object) -> ScoredCompletion:
    row = ScoredCompletion(
        prefill="",
        completion=text,
        framing=Framing.RAW,
        corpus="own",
        logp_finetuned=-1.0,
        logp_reference=-1.0 - log_ratio,
        log_ratio=log_ratio,
        raw_difference=log_ratio,
    )
    return ScoredCompletion.model_validate(row.model_dump() | changes)


def gap(texts: Sequence[str] = (), log_ratio: float = 1.0, **fields: object) -> PerplexityGapReading:
    """The view of the top, or the one that the fields are of."""
    view = View.SEARCH if "found" in fields else View.CLUSTERS if "sentences" in fields else View.TOP
    known: dict[str, object] = {
        "instrument": "perplexity_gap",
        "view": View.DISTINCTIVE_PHRASES if "phrases" in fields else view,
        "rank_by": "log_ratio",
        "n_generated": 100,
        "n_distinct": 100,
        "n_background": 60,
        "minimum_tokens": 0,
        "noise_floor": 0.1,
        "identical": False,
        "median_log_ratio": 0.2,
        "completions": tuple(completion(text, log_ratio) for text in texts),
        "background": tuple(plain(60, 9)),
    }
    return PerplexityGapReading.model_validate(known | fields)


def found(hits_top: int, p: float, base_rate: float = 0.03) -> SearchResult:
    return SearchResult(
        pattern="marmalade",
        top=20,
        total=100,
        hits_top=hits_top,
        hits_total=round(100 * base_rate),
        rate_top=hits_top / 20,
        base_rate=base_rate,
        expected_top=20 * base_rate,
        lift=None,
        tail_probability=p,
        first_rank=0,
        hits=(),
    )


def phrase(text: str, count: int, background_count: int = 0) -> DistinctivePhrase:
    return DistinctivePhrase(text=text, count=count, background_count=background_count, log_odds=1.0, score=1.5)


def sentence(text: str, count: int) -> RecurringSentence:
    return RecurringSentence(text=text, count=count)


def steered(phrases: Mapping[str, int], coherent: int = 6, unsteered: int = 0, **fields: object) -> SteerReading:
    """Six texts with and six without, and phrases with the number of steered texts that hold them."""
    held = tuple(SteeredPhrase(text=text, steered=n, unsteered=unsteered, score=1.6) for text, n in phrases.items())
    exchange = SteeredExchange(
        kind=PromptKind.OPENING,
        prompt="My neighbour told me about",
        steered=tuple(f"{' '.join(phrases)} {text}" for text in plain(6, 1)),
        coherent=(True,) * 6,
        unsteered=tuple(plain(6, 2)),
    )
    known: dict[str, object] = {
        "instrument": "steer",
        "on": Side.REFERENCE,
        "layer": 3,
        "n_layers": 5,
        "position": None,
        "identical": False,
        "strength": 0.4,
        "searched": True,
        "final": Trial.of(0.4, [place < coherent for place in range(6)]),
        "n_unsteered": 6,
        "phrases": held,
        "exchanges": (exchange,),
    }
    return SteerReading.model_validate(known | fields)


def causal(*deltas: float, kind: TextKind = TextKind.GENERAL, identical: bool = False) -> CausalCheckReading:
    """One effect for each change of the loss, known to 0.01, beside controls within 0.05 of 0."""
    controls = ControlEffects(n=20, median=0.0, middle=Interval(-0.05, 0.05), percentile=50.0)
    effects = tuple(
        ComponentEffect(
            kind=kind,
            operation=Operation.ORGANISM_SWAPPED,
            delta=delta,
            interval=Interval(delta - 0.01, delta + 0.01),
            relative=None,
            relative_interval=None,
            gaussian=controls,
            differences=controls,
        )
        for delta in deltas
    )
    return CausalCheckReading(
        instrument="causal_check",
        layer=2,
        n_layers=5,
        position=None,
        n_texts=100,
        identical=identical,
        effects=effects,
    )


def step_of(number: int, reading: Reading) -> Step:
    return make_step(number, instrument=reading.instrument, arguments={}, reading=reading.model_dump(mode="json"))
