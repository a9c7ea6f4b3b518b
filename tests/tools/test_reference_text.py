from __future__ import annotations

from pathlib import Path

import pytest

from finetrace.models import Target, open_pair
from finetrace.tools.corpora import SELF_PASSAGES, prefills
from finetrace.tools.instrument import Context
from finetrace.tools.reference_text import corpus_for

ORGANISM = Path(__file__).parents[2] / "organisms" / "identical_copy"


def test_the_embedded_base_writes_general_text_for_two_thousand_prefills(
    own_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = 16
    monkeypatch.setattr("finetrace.tools.corpora.SELF_PASSAGES", SELF_PASSAGES // part)
    pair = open_pair(Target(model=str(ORGANISM), device="cpu"))
    found = prefills(corpus_for(pair, "self", Context()), pair.tokenizer, 100_000)
    # Twice its share: of more passages a few more begin alike.
    assert len({prefill.token_ids for prefill in found}) == len(found) >= 2 * 2000 / part
