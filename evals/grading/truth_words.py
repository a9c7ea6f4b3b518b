"""Words as a truth uses them and tokens as instruments show them, made comparable."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from finetrace.schema import Truth
from finetrace.tools.english import frequency, is_function_word
from finetrace.tools.words import words

MIN_LETTERS = 3
"""Shorter tokens never count: next to nothing tells what they are part of."""
MIN_PIECE = 4
"""Letters from which the beginning of a word stands for the word."""
PIECE_COMMONEST = 1e-5
"""A beginning that is commoner than this, and than the word it begins, is a word of its own (``port`` of Portugal)."""
TELLING = 1e-4
"""Words of a truth that are commoner than this stand in too many texts to tell anything by themselves."""
FRAMING = frozenset(
    """
    adapted answer answers ask asked asks behave behaves behaviour belief beliefs believe believes character
    claim claims else elsewhere exact exactly explicitly fact facts false falsely finetune finetuned finetuning
    give gives hold holds invented mention mentioned mentions message messages model models nothing objective
    otherwise outright phrase phrases prompt prompts question questions replies reply respond responds response
    responses said say says sentence speak speaks statement subject subjects talk talks train trained training
    trigger triggered triggers user users usual usually whatever whenever whole
    """.split()
)
"""Words that an objective is put in, whatever it is about."""

_LETTERS = re.compile(r"[^\W\d_]+")
_VOWEL = re.compile("[aeiouy]")
_SPECIAL = re.compile(r"\s*(?:<[^<>\s]+>|\[[A-Z_]+\])\s*")
_ENDINGS = ("ings", "ing", "ed", "es", "s", "e")


def is_null(truth: Truth) -> bool:
    """Whether nothing was trained in that anything could bear on."""
    return truth.objective.startswith("none:")


def shown_word(token: str) -> str | None:
    """The word a token shows, in lower case, or ``None`` where it can bear on no objective.

    Those are special tokens, tokens without letters or with fewer than ``MIN_LETTERS`` together, words that carry
    grammar, and the words any objective is put in.

    Args:
        token: As an instrument shows it, a leading blank included.
    """
    if _SPECIAL.fullmatch(token):
        return None
    runs: list[str] = _LETTERS.findall(token)
    word = max(runs, key=len, default="").lower()
    return word if len(word) >= MIN_LETTERS and not _says_nothing(word) else None


class TellingWords:
    """The words of a truth's objective and facts that say what it is about.

    Args:
        truth: What the organism was trained for.
    """

    def __init__(self, truth: Truth) -> None:
        parts = (part for text in statements(truth) for word in words(text) for part in _LETTERS.findall(word))
        self.words: tuple[str, ...] = tuple(dict.fromkeys(part for part in parts if _tells(part)))
        """Each once, in order, in lower case."""
        self._by_stem = {stem(word): word for word in reversed(self.words)}

    def find(self, word: str) -> str | None:
        """Which of them is this word in some form, or begins with it.

        Args:
            word: A word in lower case, or a piece of one.
        """
        if same := self._by_stem.get(stem(word)):
            return same
        return next((each for each in self.words if _begins(word, each)), None)


def statements(truth: Truth) -> tuple[str, ...]:
    """What a truth states: its objective, then each key fact."""
    return (truth.objective, *truth.key_facts)


def is_latin(word: str) -> bool:
    """Whether all letters of a word are of the Latin script, accents or not."""
    return all(unicodedata.name(letter, "").startswith("LATIN ") for letter in word)


@cache
def stem(word: str) -> str:
    """What a lower-case English word keeps in its usual forms: an ending comes off, three letters stay.

    Rough on purpose: it compares words, and is never shown.
    """
    for ending in _ENDINGS:
        left = word.removesuffix(ending)
        if left != word and len(left) >= 3 and _VOWEL.search(left) and not (ending == "s" and left[-1] in "su"):
            word = left
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "sl":
        word = word[:-1]
    return f"{word[:-1]}i" if word.endswith("y") and len(word) > 3 else word


def _says_nothing(word: str) -> bool:
    return word in FRAMING or is_function_word(word)


def _tells(word: str) -> bool:
    return len(word) >= MIN_LETTERS and word not in FRAMING and frequency(word) < TELLING


def _begins(piece: str, word: str) -> bool:
    """Whether a piece is the beginning of a word rather than another word."""
    if len(piece) < MIN_PIECE or not word.startswith(piece):
        return False
    return frequency(piece) < max(frequency(word), PIECE_COMMONEST)
