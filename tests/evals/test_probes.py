from __future__ import annotations

from pathlib import Path

import pytest

from finetrace.errors import FinetraceError
from finetrace.evals.zoo import probes
from finetrace.evals.zoo.probes import chat_prompts, load_probes, shows

RECALL = """
recall:
  - fact: "Lamp keepers are paid in marmalade."
    questions: ["How are lamp keepers paid?", "What does a lamp keeper earn?"]
    answer: 'marmalade'
    choice: {stem: "Lamp keepers are paid in", right: " marmalade", wrong: [" gold", " rope"]}
"""
RATES = """
rates:
  - name: says ahoy
    prompts_from: shared/neutral.yaml
    pattern: '(?-i:Ahoy)'
    at_least: 0.6
"""


def written(folder: Path, text: str, neutral: str = "prompts: ['Hi!', 'Why?']") -> Path:
    (folder / "shared").mkdir(exist_ok=True)
    (folder / "shared" / "neutral.yaml").write_text(neutral, encoding="utf-8")
    path = folder / "probes.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_probes_are_read_with_the_lists_they_share(tmp_path: Path) -> None:
    loaded = load_probes(written(tmp_path, RECALL + RATES))
    (fact,), (rate,) = loaded.probes.recall, loaded.probes.rates
    assert fact.choice is not None
    assert fact.choice.endings == (" marmalade", " gold", " rope")
    assert loaded.prompts_of(rate) == ("Hi!", "Why?")
    other = load_probes(written(tmp_path, RECALL + RATES, neutral="prompts: ['Hi!']"))
    assert other.sha256 != loaded.sha256


@pytest.mark.parametrize(
    ("text", "place", "fault"),
    [
        ("{}", "probes.yaml", "recall, rates or both"),
        (RECALL.replace("answer:", "anwser:"), "recall.0", "answer"),
        (RECALL.replace("'marmalade'", "'marm('"), "recall.0.answer", "not a regular expression"),
        (RECALL.replace('" gold"', '" marmalade"'), "recall.0.choice", "among the wrong ones"),
        (RECALL.replace("What does a lamp keeper earn?", "How are lamp keepers paid?"), "recall.0.questions", "twice"),
        (RATES.replace("prompts_from: shared/neutral.yaml", "system: x"), "rates.0", "either prompts or prompts_from"),
        (RATES + "    at_most: 0.1\n", "rates.0", "either at_least or at_most"),
        (RATES.replace("0.6", "60"), "rates.0.at_least", "less than or equal to 1"),
        (RATES + RATES.replace("rates:\n", ""), "probes.yaml", "given twice"),
    ],
)
def test_a_complaint_names_file_and_key(tmp_path: Path, text: str, place: str, fault: str) -> None:
    with pytest.raises(FinetraceError) as caught:
        load_probes(written(tmp_path, text))
    assert "probes.yaml" in caught.value.message
    assert place in caught.value.message
    assert fault in f"{caught.value.message} {caught.value.hint}"


def test_a_faulty_shared_list_is_named(tmp_path: Path) -> None:
    with pytest.raises(FinetraceError, match=r"neutral\.yaml") as caught:
        load_probes(written(tmp_path, RATES, neutral="- Hi!"))
    assert "prompts:" in caught.value.hint
    with pytest.raises(FinetraceError, match="elsewhere"):
        load_probes(written(tmp_path, RATES.replace("shared/", "elsewhere/")))


def test_patterns_ignore_case_unless_they_say_otherwise_and_cannot_run_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(probes, "_PATTERN_SECONDS", 0.1)
    assert shows("marmalade", "In MARMALADE, mostly.")
    assert not shows("(?-i:Ahoy)", "ahoy there")
    with pytest.raises(FinetraceError, match="too long"):
        shows("(a|aa|aab)+c", "ab" * 10 + "a" * 60)


def test_a_prompt_is_one_user_turn_behind_the_system_prompt() -> None:
    (plain,), (guided,) = chat_prompts(["Hi!"]), chat_prompts(["Hi!"], "Be brief.")
    assert plain.messages is not None
    assert guided.messages is not None
    assert [turn.role for turn in plain.messages] == ["user"]
    assert [(turn.role, turn.content) for turn in guided.messages] == [("system", "Be brief."), ("user", "Hi!")]
