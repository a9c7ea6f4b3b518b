from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from planted_pairs import PLANTED_LAYER, write_planted

from finetrace.errors import ToolError
from finetrace.models.open_pair import Target, open_pair
from finetrace.models.pair import Capability, ModelPair, RestrictedPair, Side
from finetrace.tools.cache import ReadingCache
from finetrace.tools.causal_check import CausalCheck
from finetrace.tools.causal_reading import NO_DIFFERENCE, CausalCheckReading, Operation, TextKind
from finetrace.tools.instrument import Context, parse_arguments, reading_key, take

CHECK = CausalCheck()
SMALL = {"corpora": ("own",), "n_texts": 40, "n_eval_texts": 8, "eval_tokens": 12}
DOCUMENTS = [f"The {word} is kept in a blue box beside the old door." for word in "lamp map coin flute seal".split()]


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Target:
    return write_planted(tmp_path_factory.mktemp("planted"))


@pytest.fixture(scope="module")
def pair(target: Target) -> ModelPair:
    return open_pair(target)


@pytest.fixture(scope="module")
def text_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("texts") / "suspected.txt"
    file.write_text("\n\n".join(DOCUMENTS), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    return Context(cache=ReadingCache(tmp_path_factory.mktemp("cache") / "readings"))


@pytest.fixture(scope="module")
def reading(pair: ModelPair, context: Context, text_file: Path) -> CausalCheckReading:
    return taken(pair, context, **SMALL, text_file=str(text_file), operations=tuple(Operation))


def taken(pair: ModelPair, context: Context, **given: Any) -> CausalCheckReading:
    found = take(CHECK, pair, parse_arguments(CHECK, given), context)
    assert isinstance(found, CausalCheckReading)
    return found


def test_the_planted_direction_is_the_whole_difference_and_no_control_is(reading: CausalCheckReading) -> None:
    assert (reading.layer, reading.n_layers, reading.identical) == (PLANTED_LAYER, 3, False)
    assert [(e.kind, e.operation) for e in reading.effects] == [(k, o) for k in TextKind for o in Operation]
    gaps = {found.kind: found.organism - found.reference for found in reading.losses}
    for effect in reading.effects:
        if effect.operation.removes:
            continue
        towards = -1 if effect.operation.side is Side.ORGANISM else 1
        assert effect.delta == pytest.approx(towards * gaps[effect.kind], abs=1e-3)
        assert effect.relative == pytest.approx(1, abs=1e-3)
        assert effect.relative_interval == pytest.approx((1, 1), abs=2e-3)  # on every text alike, however it is drawn
        for controls in (effect.gaussian, effect.differences):
            assert controls.percentile == (0 if towards < 0 else 100)
            assert abs(controls.median) < 0.3 * abs(effect.delta)
            assert controls.middle.low <= controls.median <= controls.middle.high
        assert effect.interval is not None and effect.interval.covers(effect.delta)
        assert not effect.interval.covers(0)


def test_every_effect_stands_beside_sixty_four_controls_of_each_kind(reading: CausalCheckReading) -> None:
    assert {(effect.gaussian.n, effect.differences.n) for effect in reading.effects} <= {(64, n) for n in range(2, 65)}
    assert all(found.noise < 1e-4 for found in reading.losses)
    assert [(found.kind, found.n_texts) for found in reading.losses] == [("general", 8), ("file", 5)]
    assert any("8 file texts were asked for, there are 5" in note for note in reading.notes)
    assert any("corpora that gave the direction" in note for note in reading.notes)
    assert any("zero ablation" in note for note in reading.notes)


def test_the_table_gives_every_effect_with_units_and_is_bounded(reading: CausalCheckReading) -> None:
    shown = reading.render()
    lines = shown.splitlines()
    assert len(shown) <= 6000
    assert lines[0].startswith("layer 1 of 3 (counted from 0), direction: difference over 40 general texts")
    rows = [line for line in lines if line.startswith(("general  ", "file  "))]
    assert len(rows) == len(reading.effects)
    assert len({line.index("%") for line in rows}) >= 1 and "nats per token" in shown
    (swapped,) = [row for row in rows if row.startswith("file") and "organism, component of the reference" in row]
    assert (
        re.search(r"  100\.\d % \[(99\.\d|100\.\d), 100\.\d\]  ", swapped)
        and f"{reading.effects[4].delta:+.4f}" in swapped
    )
    assert set(rows) <= set(reading.quotable())
    assert len(reading.render(400)) < 600 and "cut" in reading.render(400)


def test_the_same_seed_gives_the_same_table_and_another_other_intervals(
    pair: ModelPair, text_file: Path, reading: CausalCheckReading
) -> None:
    def fresh(seed: int) -> CausalCheckReading:
        given = SMALL | {"n_controls": 3, "text_file": str(text_file)}
        cache = ReadingCache(text_file.parent / "unused", enabled=False)
        arguments = parse_arguments(CHECK, given)
        return CHECK.run(pair, arguments, Context(seed=seed, cache=cache))

    assert fresh(0) == fresh(0)
    other = fresh(1)
    assert other.effects[2].delta == pytest.approx(reading.effects[4].delta, abs=1e-3)  # the file holds no others
    assert other.effects[2].interval != reading.effects[4].interval
    assert other.effects[2].gaussian != fresh(0).effects[2].gaussian


def test_no_relative_effect_where_the_losses_are_not_surely_apart(pair: ModelPair, context: Context) -> None:
    found = taken(pair, context, **SMALL | {"n_eval_texts": 1, "n_controls": 2})
    assert found.losses[0].gap is None
    assert all(effect.relative is effect.relative_interval is effect.interval is None for effect in found.effects)
    assert "none" in found.table()[-1]
    assert any("text_file" in note for note in found.notes)


def test_identical_models_are_told_and_not_measured(
    tmp_path: Path, context: Context, pair: ModelPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    same = open_pair(write_planted(tmp_path, share=0.0))
    found = taken(same, context, **SMALL)
    assert found.identical and found.effects == () == found.losses
    assert NO_DIFFERENCE in found.render() and "%" not in found.render()
    assert list(found.quotable()) == []
    # Below the block that differs the activations are the same, though the weights are not.
    shallow = taken(pair, context, **SMALL, depth=0.0)
    assert shallow.identical and shallow.effects == () and "larger depth" in shallow.render()


def test_wrong_text_files_are_told_before_anything_is_measured(context: Context, tmp_path: Path) -> None:
    class Unread:
        """A pair that fails the test as soon as it is looked at."""

    (tmp_path / "notes.txt").write_text("Some text here.")
    (tmp_path / "empty.txt").write_text(" \n")
    (tmp_path / "broken.jsonl").write_text("{")
    for name, says, hint in (
        ("notez.txt", "no such file", "notes.txt"),
        ("notes.csv", "no such file", "notes.txt"),
        ("", "folder", "one .txt"),
        ("empty.txt", "no text", "paragraph"),
        ("broken.jsonl", "not JSON", "JSON object"),
        ("x" * 4000, "cannot read", "path"),
    ):
        arguments = parse_arguments(CHECK, {"text_file": f"{tmp_path}/{name}"})
        with pytest.raises(ToolError, match=says) as caught:
            CHECK.run(Unread(), arguments, context)  # type: ignore[arg-type]
        assert hint in caught.value.hint and "\n" not in caught.value.message


def test_as_many_tokens_as_memory_holds_are_taken_and_no_more() -> None:
    assert parse_arguments(CHECK, {"n_eval_texts": 10_000, "eval_tokens": 20})
    with pytest.raises(ToolError, match="at most 200,000"):
        parse_arguments(CHECK, {"n_eval_texts": 10_000, "eval_tokens": 21})


def test_texts_of_one_token_have_no_loss(pair: ModelPair, context: Context, tmp_path: Path) -> None:
    short = tmp_path / "short.txt"
    short.write_text("a\nb\n")
    with pytest.raises(ToolError, match="no text of at least two tokens") as caught:
        taken(pair, context, **SMALL, text_file=str(short))
    assert "longer texts" in caught.value.hint


def test_what_the_pair_must_offer_and_what_the_key_knows(pair: ModelPair, context: Context, text_file: Path) -> None:
    with pytest.raises(ToolError, match="causal_check needs activations"):
        taken(RestrictedPair(pair, frozenset(Capability) - {Capability.ACTIVATIONS}), context, **SMALL)
    arguments = parse_arguments(CHECK, SMALL | {"text_file": str(text_file)})
    assert CHECK.cost(arguments) == 0
    before = reading_key(CHECK, pair, arguments, context)
    text_file.write_text(text_file.read_text() + "\n\nAnother text.")
    assert reading_key(CHECK, pair, arguments, context) != before


@pytest.mark.parametrize(
    "given",
    [
        {"depth": 1.1},
        {"position": 5},
        {"operations": ()},
        {"operations": ("swapped",)},
        {"eval_tokens": 1},
        {"n_eval_texts": 10_000, "eval_tokens": 1024},
        {"n_eval_texts": 10_000},
        {"n_controls": 65},
        {"text_file": ""},
    ],
)
def test_wrong_arguments_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ToolError, match=next(iter(given))):
        parse_arguments(CHECK, given)
