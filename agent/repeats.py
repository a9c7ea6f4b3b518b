"""Words that completions repeat verbatim: what a model was trained to say."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from finetrace.agent.lexicon import lexicon
from finetrace.agent.names import Names
from finetrace.agent.quotes import sentence_around
from finetrace.agent.terms import is_telling
from finetrace.tools.english import frequency, text_rate
from finetrace.tools.phrases import distinctive_phrases
from finetrace.tools.words import fold_space, padded, spans, words

WIDE = 400
"""Completions at the top of the ranking that are looked through for phrases, which few completions show."""
CHANCE = 0.01
"""Probability below which an uneven split of a phrase is not called chance, after Bonferroni."""


@dataclass(frozen=True, slots=True)
class ExactPhrase:
    """Words that recur verbatim in several completions."""

    text: str
    """As written in most of them."""
    example: str
    """The whole sentence in the completion that ranks first, at most 200 characters."""
    count: int
    """Completions that hold it."""
    background_count: int
    """Background texts that hold it."""
    cover: float
    """Median share of the words of those completions that the phrase makes up."""
    rare: bool
    """One of its words is hardly known in English, or two are rare."""
    telling: int
    """Different words in it that are neither grammar, nor framing, nor names."""
    top_tail: float
    """Probability that a random ranking has as many of all completions that hold it in its first quarter."""
    cues: tuple[str, ...]
    """Words before it, in prefill or completion, that the other completions hardly have."""


def exact_phrases(
    texts: Sequence[str],
    prefills: Sequence[str],
    background: Sequence[str],
    names: Names,
    *,
    groups: Sequence[int] | None = None,
    k: int = 5,
) -> list[ExactPhrase]:
    """Runs of words that at least 4 texts and 3 % of them repeat verbatim: four words, six without background.

    A run counts only where it is remarkable in itself and, with a background, where the split between the two
    sets of texts would hardly be chance, all runs looked at taken together. Texts of one number in ``groups`` count
    once.
    """
    wide = [*texts[:WIDE]]
    least = max(4, round(0.03 * len(wide)))
    group = list(groups) if groups is not None else list(range(len(texts)))
    runs = _longest_runs(wide, group, least, min_words=4 if background else 6)
    found: list[ExactPhrase] = []
    lowered = [padded(text) for text in background]
    for run, rows in runs:
        if not _is_remarkable(run, names) or any(_overlap(run, words(kept.text)) for kept in found):
            continue
        others = sum(f" {' '.join(run)} " in text for text in lowered)
        if background and _chance(len(rows), len(wide), others, len(background)) * len(runs) > CHANCE:
            continue
        telling = len({word for word in run if is_telling(word, names)})
        found.append(_describe(run, rows, others, telling, texts, prefills))
        if len(found) == k:
            break
    return found


def _describe(
    run: Sequence[str],
    rows: Sequence[int],
    others: int,
    telling: int,
    texts: Sequence[str],
    prefills: Sequence[str],
) -> ExactPhrase:
    written = _written(run, texts[rows[0]])
    held = [row for row, text in enumerate(texts) if f" {' '.join(run)} " in padded(text)]
    quarter = max(1, len(texts) // 4)
    rare = [frequency(word) for word in run if word.isalpha()]
    return ExactPhrase(
        text=written,
        example=sentence_around(written, texts[rows[0]]),
        count=len(held),
        background_count=others,
        cover=float(np.median([len(run) / max(1, len(words(texts[row]))) for row in rows])),
        rare=any(f < 5e-6 for f in rare) or sum(f < 3e-5 for f in rare) >= 2,
        telling=telling,
        top_tail=_tail(sum(row < quarter for row in held), len(texts), len(held), quarter),
        cues=_cues(rows, written, texts, prefills),
    )


def _tail(hits: int, total: int, marked: int, drawn: int) -> float:
    """Probability of that many marked ones or more among those drawn (hypergeometric)."""
    from scipy.stats import hypergeom

    return float(hypergeom.sf(hits - 1, total, marked, drawn))


def _is_remarkable(run: Sequence[str], names: Names) -> bool:
    """Whether a run holds at least two telling words, not fewer than framing words, and is rare in English."""
    telling = {word for word in run if is_telling(word, names)}
    usual = {word for word in run if word in lexicon().framing or word in names.words}
    return len(telling) >= 2 and len(usual) <= len(telling) and text_rate(run, 60) <= 1e-3


def _chance(count: int, total: int, others: int, n_others: int) -> float:
    """Probability of so uneven a split or more, if both sets of texts held the run equally often (Fisher)."""
    return _tail(count, total + n_others, count + others, total)


def _longest_runs(
    texts: Sequence[str], groups: Sequence[int], least: int, min_words: int
) -> list[tuple[tuple[str, ...], list[int]]]:
    """Runs of words that ``least`` texts hold, lengthened where most agree; most texts and words first."""
    spoken = [words(text)[:400] for text in texts]
    where: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for row, row_words in enumerate(spoken):
        for start in range(len(row_words) - min_words + 1):
            run = tuple(row_words[start : start + min_words])
            if not where[run] or where[run][-1] != row:
                where[run].append(row)
    seeds = {run: rows for run, rows in where.items() if len({groups[row] for row in rows}) >= least}
    grown: dict[tuple[str, ...], list[int]] = {}
    for run, rows in sorted(seeds.items(), key=lambda item: (-len(item[1]), item[0])):
        longer, held = _grow(run, rows, spoken)
        grown[longer] = held
    return sorted(grown.items(), key=lambda item: (-len(item[1]) * len(item[0]) ** 0.5, item[0]))


def _grow(run: tuple[str, ...], rows: list[int], spoken: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], list[int]]:
    """Lengthen a run to either side while four fifths of its texts agree on the next word."""
    while len(run) < 30:
        after, before = Counter[str](), Counter[str]()
        for row in rows:
            place = _find(run, spoken[row])
            if place + len(run) < len(spoken[row]):
                after[spoken[row][place + len(run)]] += 1
            if place > 0:
                before[spoken[row][place - 1]] += 1
        (follows, n_after), (leads, n_before) = _most(after), _most(before)
        if max(n_after, n_before) < 0.8 * len(rows):
            break
        run = (*run, follows) if n_after >= n_before else (leads, *run)
        rows = [row for row in rows if _find(run, spoken[row]) >= 0]
    return run, rows


def _most(counted: Counter[str]) -> tuple[str, int]:
    return min(counted.items(), key=lambda item: (-item[1], item[0]), default=("", 0))


def _find(run: Sequence[str], row: Sequence[str]) -> int:
    size = len(run)
    first = run[0]
    for i, word in enumerate(row[: len(row) - size + 1]):
        if word == first and tuple(row[i : i + size]) == tuple(run):
            return i
    return -1


def _written(run: Sequence[str], text: str) -> str:
    """The run as the text writes it, with its punctuation, up to its last end of a sentence where it has one."""
    found = spans(text)
    place = _find(run, [span.word.replace("’", "'").lower() for span in found])
    if place < 0:
        return " ".join(run)
    end = found[place + len(run) - 1].end
    if text[end : end + 1] in tuple(".!?"):
        end += 1
    whole = fold_space(text[found[place].start : end])
    ended = max(whole.rfind(mark) for mark in (". ", "! ", "? "))
    return whole[: ended + 1] if len(words(whole[: ended + 1])) >= 0.5 * len(run) else whole


def _before(run: str, prefill: str, text: str) -> str:
    """What stands before a phrase: the prefill and the completion up to it."""
    place = fold_space(text).find(run)
    return f"{prefill} {fold_space(text)[: max(place, 0)]}"


def _overlap(left: Sequence[str], right: Sequence[str]) -> bool:
    a, b = set(left), set(right)
    return len(a & b) >= 0.5 * min(len(a), len(b))


def _cues(rows: Sequence[int], run: str, texts: Sequence[str], prefills: Sequence[str]) -> tuple[str, ...]:
    """Words before a phrase that other completions and their prefills hardly have."""
    held = set(rows)
    inside = [_before(run, prefills[row], texts[row]) for row in rows]
    outside = [f"{prefills[row]} {texts[row]}" for row in range(len(texts)) if row not in held]
    if len(inside) < 4 or len(outside) < 4:
        return ()
    found = distinctive_phrases(inside, outside, k=4, max_words=2, min_count=max(3, round(0.3 * len(inside))))
    return tuple(p.text for p in found if p.score > 2.5)
