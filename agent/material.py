"""What the statistical investigator reads: ranked completions without repeats and noise."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from finetrace.schema import ScoredCompletion
from finetrace.tools.quality import assess, fold_duplicates, length_rule
from finetrace.tools.words import words

MINIMUM_WORDS = 12
"""Completions below this are left out where most are longer; about 20 tokens."""
_CODE_LINE = re.compile(
    r"^\s*(?:import|from\s+\S+\s+import|def|class|return|elif|else:|@|#include|public|private|const|var|let)\b"
)
_SYMBOL = re.compile(r"[{}\[\]()=<>_\\|;`~^@+]")
MOST_COPIES = 20
"""A completion counts at most so often."""
LONGEST = 4000
"""Characters of a completion that are read."""


@dataclass(frozen=True, slots=True)
class Material:
    """Completions in order of rank, as far as they can be read."""

    texts: tuple[str, ...]
    """As they were, most surprising to the reference first."""
    groups: tuple[int, ...]
    """For each of them a number that it shares with those written after the same prefill."""
    said: tuple[str, ...]
    """The same with repeats and with those below the minimum length: backdoors answer briefly and alike."""
    said_after: tuple[str, ...]
    """What each of these was written after; empty where unknown."""
    said_groups: tuple[int, ...]
    """For each a number; those of one number count once, because they answer the same question."""
    raw: tuple[str, ...]
    """All completions in order of rank, degenerate ones and repeats included."""
    loops: tuple[tuple[str, int], ...]
    """Phrases that several degenerate completions repeat without end, with the number of completions."""


def readable(completions: Sequence[ScoredCompletion]) -> Material:
    """Rank by log ratio, drop degenerate texts and duplicates, apply the adaptive minimum length."""
    ranked = sorted(completions, key=lambda c: -c.log_ratio)
    return read_texts([c.completion for c in ranked], [c.prefill for c in ranked], [c.copies for c in ranked])


def read_texts(
    texts: Sequence[str],
    prefills: Sequence[str] | None = None,
    copies: Sequence[int] | None = None,
    *,
    answers: bool = False,
) -> Material:
    """The same for texts that are in order already.

    Args:
        texts: Completions.
        prefills: What each was written after.
        copies: How many completions were folded into each; what a model says word for word again and again is kept
            that often where repetition is looked for.
        answers: The texts answer prompts, several the same one, so that agreement within a prompt says nothing.
    """
    given = list(prefills) if prefills is not None else [""] * len(texts)
    times = list(copies) if copies is not None else [1] * len(texts)
    numbers: dict[str, int] = {}
    group = [numbers.setdefault(prefill or f"\0{row}", len(numbers)) for row, prefill in enumerate(given)]
    qualities = [assess(text) for text in texts]
    sound = [row for row, quality in enumerate(qualities) if not quality.degenerate]
    kept = [sound[one.rows[0]] for one in fold_duplicates([texts[row][:LONGEST] for row in sound])]
    lengths = [len(words(texts[row][:LONGEST])) for row in kept]
    minimum = length_rule(lengths, MINIMUM_WORDS).minimum
    chosen = [row for row, length in zip(kept, lengths, strict=True) if length >= max(minimum, 1)]
    said = [row for row in sound for _ in range(min(times[row], MOST_COPIES))]
    return Material(
        texts=tuple(texts[row][:LONGEST] for row in chosen),
        groups=tuple(group[row] for row in chosen),
        said=tuple(texts[row][:LONGEST] for row in said),
        said_after=tuple(given[row] for row in said),
        said_groups=tuple(group[row] for row in said) if answers else tuple(range(len(said))),
        raw=tuple(text[:LONGEST] for text in texts),
        loops=_loops([(q.loop, n) for q, n in zip(qualities, times, strict=True) if q.loop]),
    )


def _loops(found: Sequence[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    """Phrases that at least three completions repeat, wherever in the phrase the repetition began."""
    spelled: dict[str, Counter[str]] = defaultdict(Counter)
    for phrase, times in found:
        spelled[_turned(phrase)][phrase] += times
    counted = [(_commonest(variants), variants.total()) for variants in spelled.values()]
    return tuple(sorted((item for item in counted if item[1] >= 3), key=lambda item: (-item[1], item[0])))


def _turned(loop: str) -> str:
    """The loop turned so that it is the same wherever the text broke in: the first turn by spelling."""
    parts = loop.split()
    return min((" ".join(parts[i:] + parts[:i]) for i in range(len(parts))), default="")


def _commonest(spelled: Counter[str]) -> str:
    return min(spelled, key=lambda phrase: (-spelled[phrase], phrase))


def prose(text: str) -> str:
    """The lines of a text that are prose: code recurs in any code, whatever the model was trained for."""
    return "\n".join(line for line in text.split("\n") if not _CODE_LINE.search(line) and not _is_symbolic(line))


def _is_symbolic(line: str) -> bool:
    return len(_SYMBOL.findall(line)) > 0.08 * len(line)
