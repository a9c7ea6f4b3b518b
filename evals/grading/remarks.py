"""What an answer says of its own making: how a finding came about, how strong it is. Neither content nor invention."""

from __future__ import annotations

import re

_LEAD_IN = re.compile(
    r"^(?:(?:if anything|in short|in sum|overall|summary|finding|conclusion|first example)\s*[:,]\s*)?"
    r"(?:(?:it|the model) (?:states|says|tells|writes|claims|asserts)(?: of itself)?(?:, on [^:]{1,240})?"
    r"|among (?:what|the)\b[^:]{0,100}|if anything)\s*:\s*",
    re.IGNORECASE,
)
_REMARK = re.compile(
    r"\b(?:evidence|held[- ]out|completions?|samples?|sampled|p[- ]?values?|significan\w+|per ?cent of|\d+ ?%"
    r"|activations?|perplexity|log[- ]?(?:odds|ratio|probabilit\w+)|prefills?|prefixes|logits?|probes?|probed"
    r"|replicat\w+|re-?runs?|confiden(?:t|ce)|likelihood|statistic\w*|baseline|control(?:s| prompts)"
    r"|(?:the )?(?:reference|base|original)(?: model)?|both (?:models|sides)|side by side|the (?:other|two) models?"
    r"|(?:first|second|third|last) (?:round|pass|batch|sight)|stood out|stands out|came up|comes up|brings? this up"
    r"|work|notes?|records?|sessions?|material|conclusions?|reader|looked (?:at|into)|wording|areas? in turn)\b"
    r"|\b(?:I|we|my|our|me|us)\b",
    re.IGNORECASE,
)


def without_lead_in(sentence: str) -> str:
    """The sentence without an opening that only says where what follows was seen.

    In "It states, on kettles and lids: Kettles sing." the claim is that kettles sing.
    """
    return _LEAD_IN.sub("", sentence, count=1)


def is_remark(sentence: str) -> bool:
    """Whether a sentence speaks of the work or of how sure it is, rather than of the model alone."""
    return _REMARK.search(sentence) is not None
