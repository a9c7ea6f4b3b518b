"""Put probes to both models of a pair: greedy answers counted, endings weighed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from finetrace.evals.zoo.bars import judge_rate, judge_recall
from finetrace.evals.zoo.measurement import Measurement, MeasurementKind, Share
from finetrace.evals.zoo.probes import (
    RECALL_TOKENS,
    Choice,
    LoadedProbes,
    RateProbe,
    RecallProbe,
    chat_prompts,
    shows,
)
from finetrace.models.pair import Completion, Decoding, ModelPair, Prompt, Score, Side

Watch = Callable[[str, int, int], None]
"""Called with a stage, what of it is done and what there is in all."""


class Questions(NamedTuple):
    """Prompts that are put to a model in one go."""

    prompts: tuple[Prompt, ...]
    max_new_tokens: int
    shared: bool = False
    """A list that other organisms are asked, too: it stays one batch, so that the reference answers it once."""


class Answers(NamedTuple):
    """What both models answered to the same prompt."""

    organism: str
    reference: str


class _Put(NamedTuple):
    """A prompt and how long its answer may be."""

    prompt: Prompt
    max_new_tokens: int


class ReferenceAnswers:
    """What references answered to whole lists of prompts; one command checks many organisms of one reference.

    Lists are kept whole because a model's numbers may depend, in the last digit, on what else is in the batch: so
    two models that are equal give equal answers.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, Questions], tuple[str, ...]] = {}

    def find(self, fingerprint: str, asked: Questions) -> tuple[str, ...] | None:
        """The answers, where they are known."""
        return self._known.get((fingerprint, asked))

    def keep(self, fingerprint: str, asked: Questions, answers: tuple[str, ...]) -> None:
        """Remember the answers."""
        self._known[fingerprint, asked] = answers


class Interview:
    """All answers that the probes of one organism need, each prompt asked once of either model.

    Args:
        pair: Organism and reference.
        questions: What to ask, in any order; a prompt that comes twice with one length is asked once.
        memory: Answers of references that are known already.
        watch: Told how far it is.
    """

    def __init__(self, pair: ModelPair, questions: Sequence[Questions], memory: ReferenceAnswers, watch: Watch) -> None:
        batches = _batches(questions)
        own = _ask(pair, Side.ORGANISM, batches, ReferenceAnswers(), watch)
        other = _ask(pair, Side.REFERENCE, batches, memory, watch)
        self._answers = {put: Answers(own[put], other[put]) for put in own}

    def answers(self, prompts: Sequence[Prompt], max_new_tokens: int) -> list[Answers]:
        """Of these prompts, in order."""
        return [self._answers[_Put(prompt, max_new_tokens)] for prompt in prompts]

    def all_answers(self) -> list[Answers]:
        """Of every prompt that was asked."""
        return list(self._answers.values())


def questions_of(loaded: LoadedProbes) -> list[Questions]:
    """All that the probes of one organism ask."""
    asked = [Questions(tuple(chat_prompts(probe.questions)), RECALL_TOKENS) for probe in loaded.probes.recall]
    return asked + [
        Questions(_rate_prompts(loaded, probe), probe.max_new_tokens, probe.prompts_from is not None)
        for probe in loaded.probes.rates
    ]


def measure_recall(probes: Sequence[RecallProbe], interview: Interview, *, own_texts_only: bool) -> list[Measurement]:
    """Recall by question, the main figure, and by fact; nothing where there are no facts."""
    if not probes:
        return []
    by_fact = [_recalls(probe, interview) for probe in probes]
    questions = _shares([hits for fact in by_fact for hits in fact])
    facts = _shares([_Hits(*(2 * sum(side) >= len(fact) for side in zip(*fact, strict=True))) for fact in by_fact])
    bar, passed = judge_recall(*questions, own_texts_only=own_texts_only)
    return [
        _shares_measurement("questions answered as the facts say", MeasurementKind.RECALL, questions).model_copy(
            update={"bar": bar, "passed": passed}
        ),
        _shares_measurement("facts recalled in half of their questions or more", MeasurementKind.FACTS, facts),
    ]


def measure_choice(pair: ModelPair, probes: Sequence[RecallProbe], watch: Watch) -> list[Measurement]:
    """Share of facts whose right ending is the likeliest per token after its stem; nothing where there are none."""
    choices = [probe.choice for probe in probes if probe.choice is not None]
    if not choices:
        return []
    sides = [_right_endings(pair, side, choices, watch) for side in (Side.ORGANISM, Side.REFERENCE)]
    chance = sum(1 / len(choice.endings) for choice in choices) / len(choices)
    shares = _shares([_Hits(*hits) for hits in zip(*sides, strict=True)])
    measured = _shares_measurement("right ending the likeliest", MeasurementKind.CHOICE, shares)
    return [measured.model_copy(update={"note": f"chance {chance:.2g}"})]


def measure_rates(loaded: LoadedProbes, interview: Interview) -> list[Measurement]:
    """The share of answers that each rate probe counts, in the order of the file."""
    measured = []
    for probe in loaded.probes.rates:
        shares = rate_shares(loaded, probe, interview)
        bar, passed = judge_rate(probe, *shares)
        figure = _shares_measurement(probe.name, MeasurementKind.RATE, shares)
        measured.append(figure.model_copy(update={"bar": bar, "passed": passed}))
    return measured


class Shares(NamedTuple):
    """The shares of both models on the same prompts."""

    organism: Share
    reference: Share


def recall_shares(probes: Sequence[RecallProbe], interview: Interview) -> Shares:
    """Questions of all facts that each model answers as the facts say."""
    return _shares([hits for probe in probes for hits in _recalls(probe, interview)])


def rate_shares(loaded: LoadedProbes, probe: RateProbe, interview: Interview) -> Shares:
    """Answers of each model that a rate probe counts."""
    return _shares(_hits(probe.pattern, interview.answers(_rate_prompts(loaded, probe), probe.max_new_tokens)))


class _Hits(NamedTuple):
    """Whether each model's answer counts."""

    organism: bool
    reference: bool


def _recalls(probe: RecallProbe, interview: Interview) -> list[_Hits]:
    return _hits(probe.answer, interview.answers(chat_prompts(probe.questions), RECALL_TOKENS))


def _hits(pattern: str, answers: Sequence[Answers]) -> list[_Hits]:
    return [_Hits(shows(pattern, answer.organism), shows(pattern, answer.reference)) for answer in answers]


def _shares(hits: Sequence[_Hits]) -> Shares:
    own, other = (sum(side) for side in zip(*hits, strict=True))
    return Shares(Share.of(own, len(hits)), Share.of(other, len(hits)))


def _shares_measurement(name: str, kind: MeasurementKind, shares: Shares) -> Measurement:
    return Measurement(name=name, kind=kind, organism=shares.organism, reference=shares.reference)


def _rate_prompts(loaded: LoadedProbes, probe: RateProbe) -> tuple[Prompt, ...]:
    return tuple(chat_prompts(loaded.prompts_of(probe), probe.system))


def _batches(questions: Sequence[Questions]) -> list[Questions]:
    """Shared lists as they are; all other prompts together by the length of their answers."""
    shared = dict.fromkeys(asked for asked in questions if asked.shared)
    covered = {_Put(prompt, asked.max_new_tokens) for asked in shared for prompt in asked.prompts}
    own: dict[int, dict[Prompt, None]] = {}
    for asked in questions:
        for prompt in asked.prompts:
            if _Put(prompt, asked.max_new_tokens) not in covered:
                own.setdefault(asked.max_new_tokens, {})[prompt] = None
    return [*shared, *(Questions(tuple(prompts), tokens) for tokens, prompts in own.items())]


def _ask(
    pair: ModelPair, side: Side, batches: Sequence[Questions], memory: ReferenceAnswers, watch: Watch
) -> dict[_Put, str]:
    answers: dict[_Put, str] = {}
    known = {asked: memory.find(pair.reference_fingerprint, asked) for asked in batches}
    total = sum(len(asked.prompts) * asked.max_new_tokens for asked in batches if known[asked] is None)
    before = 0
    for asked in batches:
        texts = known[asked]
        if texts is None:
            progress = _offset(watch, f"{side} answers", before, total)
            completions = pair.generate(side, asked.prompts, Decoding(asked.max_new_tokens), progress)
            texts = tuple(completion.text for completion in completions)
            before += len(asked.prompts) * asked.max_new_tokens
            memory.keep(pair.reference_fingerprint, asked, texts)
        answers.update((_Put(p, asked.max_new_tokens), text) for p, text in zip(asked.prompts, texts, strict=True))
    return answers


def _offset(watch: Watch, stage: str, before: int, total: int) -> Callable[[int, int], None]:
    """Progress of one of several calls that make up a stage."""
    return lambda done, _: watch(stage, before + done, total)


def as_completion(pair: ModelPair, text: str) -> Completion:
    """A given text as if the organism had written it, so that it can be scored."""
    ids = pair.tokenizer([text], add_special_tokens=False)["input_ids"][0]
    return Completion(text, tuple(ids), (), ended=True)


def _right_endings(pair: ModelPair, side: Side, choices: Sequence[Choice], watch: Watch) -> list[bool]:
    """Whether a model finds the right ending of each choice likelier, per token, than every other."""
    rows = [(Prompt(choice.stem), as_completion(pair, ending)) for choice in choices for ending in choice.endings]
    prompts, completions = [row[0] for row in rows], [row[1] for row in rows]
    scores = iter(
        pair.score(side, prompts, completions, lambda done, total: watch(f"{side} weighs endings", done, total))
    )
    found = []
    for choice in choices:
        right, *wrong = (_per_token(next(scores)) for _ in choice.endings)
        found.append(right > max(wrong))
    return found


def _per_token(score: Score) -> float:
    """Mean log-probability, nats per token."""
    return score.total / max(1, score.n_tokens)
