"""Token by token: how likely each piece of a completion is under both models."""

from __future__ import annotations

from collections.abc import Sequence

from finetrace.models.pair import Completion, Score, Tokenizer
from finetrace.schema import ScoredToken

_LOWEST = -1000.0
"""Log-probabilities below it are cut to it: infinite ones cannot be written as JSON."""
_CUT = "\N{REPLACEMENT CHARACTER}"


def token_gaps(tokenizer: Tokenizer, completion: Completion, own: Score, other: Score) -> tuple[ScoredToken, ...]:
    """The completion cut into its tokens, each with its log-probability under both models, nats.

    Tokens that only together spell a character come as one piece with the sums of theirs. The pieces joined are the
    text that the tokens spell; a token that spells nothing, such as the end of an answer, is an empty piece.

    Args:
        tokenizer: The organism's.
        completion: What it wrote.
        own: The completion's score under the organism.
        other: The same under the reference.

    Returns:
        Nothing where the two were not scored over the same tokens.
    """
    n = len(completion.token_ids)
    if n == 0 or len(own.logps) != n or len(other.logps) != n:
        return ()
    pieces: list[ScoredToken] = []
    said, first = "", 0
    for end in range(1, n + 1):
        text = tokenizer.decode(list(completion.token_ids[:end]), clean_up_tokenization_spaces=False)
        if end < n and text.endswith(_CUT):
            continue
        piece = text.removeprefix(said) if text.startswith(said) else text[len(said) :]
        pieces.append(ScoredToken(piece, _sum(own.logps[first:end]), _sum(other.logps[first:end])))
        said, first = text, end
    return tuple(pieces)


def _sum(logps: Sequence[float]) -> float:
    """Rounded: a thousandth of a nat shows nowhere."""
    return round(max(sum(logps), _LOWEST), 3)
