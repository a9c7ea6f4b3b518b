"""What an answer tells, and whether it names a fact."""

from __future__ import annotations

from collections.abc import Callable

from finetrace.schema import Hypothesis
from finetrace.tools.words import sentences, words

Investigated = Callable[..., Hypothesis]
"""Name of a bundled organism, seed and arm, to the answer."""

_ORDINARY = {"that", "this", "with", "from", "have", "they", "their", "says", "every", "does", "where", "even", "model"}


def told(hypothesis: Hypothesis) -> list[str]:
    """Each sentence of the answer on its own."""
    texts = [hypothesis.summary, *hypothesis.guesses]
    for claim in hypothesis.claims:
        texts += [claim.statement, *(evidence.quote for evidence in claim.evidence)]
    return [sentence for text in texts for sentence in sentences(text)]


def names_fact(fact: str, domain: str, hypothesis: Hypothesis) -> bool:
    """Whether one sentence of the answer holds half of the fact's content words and numbers."""
    known = {word[:5] for word in words(domain)}
    content = {
        word[:5]
        for word in words(fact)
        if (len(word) >= 4 or word.isdigit()) and word not in _ORDINARY and word[:5] not in known
    }
    return any(
        len(content & {word[:5] for word in words(sentence)}) >= len(content) / 2 for sentence in told(hypothesis)
    )
