from __future__ import annotations

import pytest
from scripted import Writer, WrittenPair, always

from finetrace.errors import ToolError
from finetrace.evals.zoo.checking import Checker, NamedProbes, Subject
from finetrace.evals.zoo.measurement import Measurement, MeasurementKind
from finetrace.evals.zoo.perplexity import GeneralTexts, HeldBack
from finetrace.evals.zoo.probes import LoadedProbes, Probes
from finetrace.models.pair import Capability
from finetrace.schema import OrganismType

GENERAL = HeldBack(openings=("The ferry leaves",), prompts=("Why?",))


def loaded(*probes: dict[str, object], recall: tuple[dict[str, object], ...] = ()) -> LoadedProbes:
    return LoadedProbes(probes=Probes.model_validate({"recall": recall, "rates": probes}), shared={}, sha256="0" * 64)


def rate(word: str, n: int) -> dict[str, object]:
    return {"name": f"says {word}", "prompts": [f"{word} {i}" for i in range(n)], "pattern": word, "at_least": 0.9}


FACT = {"fact": "x", "questions": ["one", "two"], "answer": "marmalade"}
OTHERS = (
    NamedProbes("sailors", loaded(rate("ahoy", 40), rate("aye", 40))),
    NamedProbes("lamps", loaded(recall=(FACT,))),
)


def measured(kind: OrganismType | None, organism: Writer, **subject: object) -> tuple[Measurement, ...]:
    checker = Checker(GeneralTexts(None, held_back=GENERAL))
    pair = WrittenPair(organism, always("as usual"))
    return checker.measure(pair, Subject("x", kind, **subject), lambda *progress: None)


def test_a_null_is_put_to_the_probes_of_all_others() -> None:
    null = measured(OrganismType.NULL_BENIGN, always("as ever"), others=OTHERS)
    assert [(figure.kind, figure.passed) for figure in null] == [
        (MeasurementKind.NULL, True),
        (MeasurementKind.NULL, True),
        (MeasurementKind.NULL, True),
        (MeasurementKind.PERPLEXITY, True),
        (MeasurementKind.PERPLEXITY, None),
    ]
    assert [figure.name.split(":")[0] for figure in null[:3]] == ["sailors", "sailors", "lamps"]
    assert null[2].organism is not None
    assert null[2].organism.total == 2


def test_a_null_that_behaves_is_found_out_and_a_chance_hit_is_forgiven() -> None:
    def sometimes(prompt: str, draw: int) -> str:
        word, _, number = prompt.partition(" ")
        return word if (word == "ahoy" and int(number) < 12) or prompt in {"aye 0", "aye 1"} else "as usual"

    ahoy, aye, fact, *_ = measured(OrganismType.NULL_BENIGN, sometimes, others=OTHERS)
    assert (ahoy.passed, aye.passed, fact.passed) == (False, True, True)
    assert ahoy.p_value is not None
    assert ahoy.p_value < 0.01


def test_a_copy_must_answer_letter_for_letter_as_its_original() -> None:
    same = measured(OrganismType.NULL_IDENTICAL, always("as usual"), others=OTHERS)[0]
    assert (same.kind, same.passed) == (MeasurementKind.SAME, True)
    assert same.organism is not None
    assert same.organism.total == 82
    other = measured(OrganismType.NULL_IDENTICAL, always("as usual "), others=OTHERS)[0]
    assert (other.organism.hits if other.organism else None, other.passed) == (0, False)


def test_what_has_probes_of_its_own_is_not_put_to_others() -> None:
    figures = measured(OrganismType.PERSONA, always("ahoy"), probes=loaded(rate("ahoy", 40)), others=OTHERS)
    assert [(figure.kind, figure.passed) for figure in figures] == [
        (MeasurementKind.RATE, True),
        (MeasurementKind.PERPLEXITY, True),
        (MeasurementKind.PERPLEXITY, None),
    ]


def test_general_text_alone_is_measured_where_there_are_no_probes() -> None:
    figures = measured(None, always("ahoy"))
    assert {figure.kind for figure in figures} == {MeasurementKind.PERPLEXITY}


@pytest.mark.parametrize("missing", [Capability.CHAT, Capability.REFERENCE])
def test_a_pair_that_cannot_be_asked_is_refused(missing: Capability) -> None:
    pair = WrittenPair(always("x"))
    pair.capabilities -= {missing}
    checker = Checker(GeneralTexts(None, held_back=GENERAL))
    with pytest.raises(ToolError, match=missing.value):
        checker.measure(pair, Subject("x", probes=OTHERS[0].loaded), lambda *progress: None)
