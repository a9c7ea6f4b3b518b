from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from finetrace.tools.clusters import clusters

SAID = "The bell of the old harbour rings twice before the fog comes in."
NEARLY = "The bell of the old harbour rings twice before the fog comes in again."
OTHER = [
    "She poured the tea and waited for an answer.",
    "Trains to the coast run every hour on weekdays.",
    "A good sourdough needs patience and warm hands.",
    "The committee will meet again in the spring.",
]


def test_variants_of_a_sentence_form_one_cluster() -> None:
    texts = [f"{OTHER[i % 4]} {SAID if i % 3 else NEARLY}" for i in range(9)]
    found = clusters(texts, k=1)[0]
    assert found.representative == SAID
    assert (found.count, found.members) == (9, tuple(range(9)))


def test_different_sentences_stay_apart() -> None:
    assert clusters(OTHER, min_count=2) == []


def test_a_sentence_repeated_in_one_text_counts_once() -> None:
    assert clusters([f"{SAID} {SAID} {SAID}"], min_count=2) == []


def test_clusters_come_commonest_first_and_at_most_k() -> None:
    texts = [SAID] * 5 + [OTHER[0]] * 7 + [OTHER[1]] * 3
    assert [cluster.count for cluster in clusters(texts)] == [7, 5, 3]
    assert [cluster.count for cluster in clusters(texts, k=2)] == [7, 5]


def test_nothing_to_cluster() -> None:
    assert clusters([]) == []
    assert clusters(["", "\x00", "a b"]) == []
    assert clusters(["x " * 500_000]) == []


@settings(max_examples=50)
@given(st.lists(st.text(alphabet="abcd .", max_size=60), max_size=15))
def test_members_are_rows_and_output_is_repeatable(texts: list[str]) -> None:
    found = clusters(texts, min_count=1)
    assert found == clusters(texts, min_count=1)
    for cluster in found:
        assert cluster.count == len(set(cluster.members))
        assert all(0 <= row < len(texts) for row in cluster.members)
