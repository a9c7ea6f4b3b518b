"""Text of models and providers, made harmless wherever it is shown."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_SELECTORS = range(0xE0100, 0xE01F0)
_DELETE = 0x7F
_PICTURES = 0x2400


class Shown(NamedTuple):
    """A stretch of text as it is shown."""

    text: str
    """What is shown."""
    replaced: bool
    """Whether it stands for a character that acts without being seen."""


def shown(text: str) -> Iterator[Shown]:
    """The text as `visible` gives it, in stretches that tell what was there from what stands for it.

    A text that holds ``⟨U+202E⟩`` in letters looks the same as one with the character; here they can be told apart.
    """
    if _harmless(text):
        yield Shown(text, False)
        return
    plain: list[str] = []
    for character in text:
        seen = _shown(character, False)
        if seen == character:
            plain.append(seen)
            continue
        if plain:
            yield Shown("".join(plain), False)
            plain.clear()
        yield Shown(seen, True)
    if plain:
        yield Shown("".join(plain), False)


def visible(text: str, *, one_line: bool = False) -> str:
    """The text with everything that acts without being seen replaced by something that is seen.

    That is: control characters (so ANSI escapes too), format characters such as bidi overrides and zero-width ones,
    line and paragraph separators, surrogates, and the variation selectors that can carry hidden bytes. C0 controls
    become their pictures (``␛``), the others ``⟨U+202E⟩``. Newlines and tabs stay, unless one line is asked for.

    Args:
        text: Anything.
        one_line: Show newlines as ``⏎`` and tabs as a space.
    """
    if not one_line and _harmless(text):
        return text
    return "".join(_shown(character, one_line) for character in text)


def _harmless(text: str) -> bool:
    """Whether nothing in the text has to be replaced; quick, and sometimes too careful."""
    return text.replace("\n", "").replace("\t", "").isprintable() and max(text, default="") < chr(_SELECTORS.start)


def _shown(character: str, one_line: bool) -> str:
    """One character, or what stands for it."""
    code = ord(character)
    if character == "\n":
        return "⏎" if one_line else character
    if character == "\t":
        return " " if one_line else character
    if code < 0x20:
        return chr(_PICTURES + code)
    if code == _DELETE:
        return "␡"
    if code > _DELETE and (unicodedata.category(character) in _UNSEEN or code in _SELECTORS):
        return f"⟨U+{code:04X}⟩"
    return character
