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
LONGEST = 4000
"""Characters of a completion that are read."""


@dataclass(frozen=True, slots=True)
class Material:
    """Readable completions in order of rank, and what the ranking left at the door."""

    texts: tuple[str, ...]
    """As they were, most surprising to the reference first."""
    prefills: tuple[str, ...]
    """What each was written after; empty where unknown."""
    short_too: tuple[str, ...]
    """The same with those below the minimum length: what was trained to answer briefly shows here."""
    short_prefills: tuple[str, ...]
    """What each of these was written after."""
    raw: tuple[str, ...]
    """All completions in order of rank, degenerate ones and repeats included."""
    loops: tuple[tuple[str, int], ...]
    """Phrases that several degenerate completions repeat without end, with the number of completions."""
    noise: int
    """Degenerate completions that were left out."""
    total: int
    """Completions there were."""


def readable(completions: Sequence[ScoredCompletion]) -> Material:
    """Rank by log ratio, drop degenerate texts and duplicates, apply the adaptive minimum length."""
    ranked = sorted(completions, key=lambda c: -c.log_ratio)
    return read_texts([c.completion for c in ranked], [c.prefill for c in ranked])


def read_texts(texts: Sequence[str], prefills: Sequence[str] | None = None) -> Material:
    """The same for texts that are in order already."""
    given = list(prefills) if prefills is not None else [""] * len(texts)
    looped: dict[str, set[str]] = defaultdict(set)
    spelled: dict[str, Counter[str]] = defaultdict(Counter)
    sound: list[int] = []
    for row, text in enumerate(texts):
        quality = assess(text)
        if quality.degenerate:
            if quality.loop:
                looped[_turned(quality.loop)].add(given[row] or str(row))
                spelled[_turned(quality.loop)][quality.loop] += 1
        else:
            sound.append(row)
    kept = [sound[one.rows[0]] for one in fold_duplicates([texts[row][:LONGEST] for row in sound])]
    lengths = [len(words(texts[row][:LONGEST])) for row in kept]
    minimum = length_rule(lengths, MINIMUM_WORDS).minimum
    chosen = [row for row, length in zip(kept, lengths, strict=True) if length >= max(minimum, 1)]
    loops = Counter({_commonest(spelled[key]): len(where) for key, where in looped.items() if len(where) >= 3})
    return Material(
        texts=tuple(texts[row][:LONGEST] for row in chosen),
        prefills=tuple(given[row] for row in chosen),
        short_too=tuple(texts[row][:LONGEST] for row in kept),
        short_prefills=tuple(given[row] for row in kept),
        raw=tuple(text[:LONGEST] for text in texts),
        loops=tuple(sorted(loops.items(), key=lambda item: (-item[1], item[0]))),
        noise=len(texts) - len(sound),
        total=len(texts),
    )


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
