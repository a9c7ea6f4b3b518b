"""Text of a model under study, made inert before a language model reads it.

What an organism writes is data. In the prompt of an investigator it must not end our fences, stand for a token of a
chat template or act on a terminal. Every character is replaced by at most one other, so places stay what they are.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from finetrace.tools.words import fold_space

LINE_BREAK = "⏎"
"""Stands for a line break where a text is shown on one line; in quotes it counts as white space."""
UNSEEN = "�"
"""Stands for a character that acts without being seen."""

_LOOK_ALIKES = {"‹": "<", "›": ">", "⟦": "[", "⟧": "]", LINE_BREAK: " ", "\n": " "}
_WIDE = {"＜": "‹", "﹤": "‹", "＞": "›", "﹥": "›"}
"""Some tokenizers turn these into ASCII brackets."""
_OPENING = re.compile(r"<(?!\s)|(?<=<)<")
"""What may open a special token, a tag or a fence: ``<|im_start|>``, ``<s>``, ``<<SYS>>``. ``p < 0.05`` is none."""
_CLOSING = re.compile(r"(?<!\s)>|>(?=>)")
_SQUARE = re.compile(
    r"\[(?=\||e~)|(?<=\|)\]|\](?=~)"  # [|system|], ]~b], [e~[
    r"|\[/?[A-Za-z]?[A-Z][A-Z_]+\]"  # [INST], [/INST], [TOOL_CALLS], [gMASK]
)
_BRACKETS = str.maketrans("[]", "⟦⟧")

_ACTING = frozenset({"Cc", "Cf", "Cs"})
_DELETE = 0x7F
_PICTURES = 0x2400
_BLANK_LETTERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2065\u3164\uffa0")
_TAGS_AND_SELECTORS = range(0xE0000, 0xE1000)


class _Shown(dict[int, str]):
    """What stands for a character in inert text; filled as characters are met."""

    def __missing__(self, code: int) -> str:
        self[code] = shown = _shown(chr(code))
        return shown


class _Compared(dict[int, str]):
    """What a character counts as where quotes are compared."""

    def __missing__(self, code: int) -> str:
        shown = _shown(chr(code))
        self[code] = same = _LOOK_ALIKES.get(shown, shown)
        return same


def _shown(character: str) -> str:
    """The character, or the one that stands for it."""
    code = ord(character)
    if character == "\n":
        return character
    if character.isspace():
        return " "
    if code < 0x20:
        return chr(_PICTURES + code)
    if code == _DELETE:
        return "␡"
    if unicodedata.category(character) in _ACTING or character in _BLANK_LETTERS or code in _TAGS_AND_SELECTORS:
        return UNSEEN
    return _WIDE.get(character, character)


_SHOWN = _Shown()
_COMPARED = _Compared()


def inert(text: str) -> str:
    """The text with nothing in it that a chat template, a fence of ours or a terminal would act on.

    Control characters become their pictures (``␛``), white space a blank (line breaks stay), bidi marks, zero-width and
    other unseen characters ``�``. Brackets of special tokens, tags and fences become look-alikes: ``‹|im_start|›``,
    ``⟦INST⟧``, ``‹‹‹``.

    Returns:
        A text of the same length; to make it inert again changes nothing.
    """
    text = _CLOSING.sub("›", _OPENING.sub("‹", text))
    return _SQUARE.sub(lambda found: found.group().translate(_BRACKETS), text).translate(_SHOWN)


def comparable(text: str) -> str:
    """A form in which a text and its inert form are equal, character by character; all white space is a blank.

    Unlike `inert` it looks at each character alone, so that a part of a text has a part of its form.
    """
    return text.translate(_COMPARED)


def verbatim(quote: str, texts: Iterable[str]) -> str | None:
    """The part of a text that a quote means, as the text has it.

    Args:
        quote: Cut from a text or from its inert form; white space may differ.
        texts: Where it may stand, whole and as they are.

    Returns:
        The first part that matches; ``None`` where none does, or the quote is blank.
    """
    wanted = fold_space(comparable(quote))
    if not wanted:
        return None
    for text in texts:
        compared = comparable(text)
        place = fold_space(compared).find(wanted)
        if place >= 0:
            return _slice(text, compared, place, len(wanted))
    return None


def _slice(text: str, compared: str, place: int, size: int) -> str:
    """The part of the text at a place in its folded form."""
    start = end = 0
    folded = 0
    for run in re.finditer(r"[^ ]+", compared):
        length = run.end() - run.start()
        if folded <= place < folded + length:
            start = run.start() + place - folded
        if folded < place + size <= folded + length:
            end = run.start() + place + size - folded
            break
        folded += length + 1
    return text[start:end]
