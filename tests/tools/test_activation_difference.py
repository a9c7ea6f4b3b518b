from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from planted_pairs import PLANTED, copied_pair, pair_of, planted_pair
from small_models import DEPTH, other_tokenizer, tiny_model
from transformers import PreTrainedTokenizerFast

from finetrace.errors import ToolError
from finetrace.models.local import LocalPair
from finetrace.models.pair import Capability, ModelPair, RestrictedPair, Side
from finetrace.models.recorded import RecordedPair
from finetrace.tools.activation_difference import NO_DIFFERENCE, ActivationDifference, ActivationDifferenceReading
from finetrace.tools.cache import ReadingCache
from finetrace.tools.instrument import Context, available, parse_arguments, take
from finetrace.tools.token_lists import Read

INSTRUMENT = ActivationDifference()
SMALL: dict[str, Any] = {"corpora": ["own"], "n_texts": 40, "positions": 3}
LAST = DEPTH - 1


class Scripted:
    """A grader that says what it is told to, and keeps what it was asked."""

    name = "scripted\nmodel"

    def __init__(self, answer: Callable[[str], str]) -> None:
        self.answer = answer
        self.asked: list[str] = []

    def ask(self, prompt: str) -> str:
        self.asked.append(prompt)
        return self.answer(prompt)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return other_tokenizer()


@pytest.fixture(scope="module")
def planted(tokenizer: PreTrainedTokenizerFast) -> LocalPair:
    return planted_pair(tokenizer, layer=LAST).pair


@pytest.fixture(scope="module")
def two(tokenizer: PreTrainedTokenizerFast) -> LocalPair:
    return pair_of(tiny_model(seed=1), tiny_model(), tokenizer, "two")


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(cache=ReadingCache(tmp_path / "cache" / "readings"))


def taken(pair: ModelPair, context: Context, **given: Any) -> ActivationDifferenceReading:
    reading = take(INSTRUMENT, pair, parse_arguments(INSTRUMENT, SMALL | given), context)
    assert isinstance(reading, ActivationDifferenceReading)
    return reading


@pytest.fixture(scope="module")
def whole(planted: LocalPair, tmp_path_factory: pytest.TempPathFactory) -> ActivationDifferenceReading:
    """Every read of the planted difference, at the layer where it is."""
    return taken(planted, Context(cache=ReadingCache(tmp_path_factory.mktemp("cache") / "readings")), depths=[1.0])


def test_every_read_but_the_opposite_shows_the_planted_token_first(whole: ActivationDifferenceReading) -> None:
    (layer,) = whole.layers
    assert layer.layer == LAST and layer.depth == 1.0 and len(layer.positions) == 1 + 3
    assert [found.read for found in layer.positions[0].difference] == list(Read)
    for position in layer.positions:
        assert not position.sink and not position.within_noise and (position.agreement or 0) > 0.999
        for found in position.difference:
            if found.read in (Read.LENS_NEGATIVE, Read.PATCHSCOPE_NEGATIVE):
                assert PLANTED not in [token.text for token in found.tokens]
            else:
                assert found.tokens[0].text == PLANTED and found.tokens[0].special
    controls = [*layer.random, *(found for position in layer.positions for found in position.reference)]
    assert PLANTED not in [found.tokens[0].text for found in controls]
    assert all(found.tokens for found in controls)


def test_a_reading_survives_json(whole: ActivationDifferenceReading) -> None:
    assert ActivationDifferenceReading.model_validate_json(whole.model_dump_json()) == whole


def test_what_may_be_quoted_is_what_is_shown(whole: ActivationDifferenceReading) -> None:
    names = tuple(f"  {read}" for read in Read)
    shown = [line for line in whole.render(10**6).splitlines() if line.startswith(names)]
    quotable = list(whole.quotable())
    starred, plain = quotable[0::2], quotable[1::2]
    assert len(shown) == len(starred) == 4 * len(Read)
    assert all(line.endswith(f": {quote}") for line, quote in zip(shown, starred, strict=True))
    assert starred[0].startswith(f"{PLANTED.strip()}*, ") and plain[0].startswith(f"{PLANTED.strip()}, ")


def test_a_rendering_is_bounded(whole: ActivationDifferenceReading) -> None:
    for limit in (300, 2000):
        text = whole.render(limit)
        assert len(text) < limit + 100 and "more lines cut" in text
    assert "depth 1" in whole.render(400)


def test_each_list_stands_beside_a_control(whole: ActivationDifferenceReading) -> None:
    lines = whole.render(10**6).splitlines()
    layer = whole.layers[0]
    for position in layer.positions[1:]:
        start = next(
            i for i, line in enumerate(lines) if line.startswith(f"layer {LAST}, position {position.position};")
        )
        for place, other in enumerate(position.reference):
            first = ", ".join(token.shown for token in other.tokens[:8])
            assert first and lines[start + 2 + 2 * place] == f"    control: reference: {first}"


def test_room_is_spread_over_all_layers(whole: ActivationDifferenceReading) -> None:
    (layer,) = whole.layers
    layers = tuple(layer.model_copy(update={"layer": i, "depth": i / 4}) for i in range(5))
    reading = whole.model_copy(update={"layers": layers, "n_layers": 5})
    text = reading.render()
    assert len(text) < 6100 and "short of room: first" in text
    for i in range(5):
        block = text.partition(f"layer {i} (")[2].partition("\nlayer ")[0]
        assert all(f"\n  {read}" in block for read in Read) and block.count(" | random: ") == len(Read)
    shown = [line.partition(": ")[2].partition(" | ")[0] for line in text.splitlines() if " | random: " in line]
    assert len(shown) == 5 * len(Read) and all(any(s in quote for quote in reading.quotable()) for s in shown)
    assert "short of room" not in whole.render()


def test_where_room_is_very_short_the_layers_with_stars_come_first(whole: ActivationDifferenceReading) -> None:
    (layer,) = whole.layers
    plain = [
        found.model_copy(update={"tokens": tuple(t.model_copy(update={"special": False}) for t in found.tokens)})
        for found in layer.positions[0].difference
    ]
    mean = layer.positions[0].model_copy(update={"difference": tuple(plain)})
    dull = layer.model_copy(update={"layer": 0, "depth": 0.0, "positions": (mean, *layer.positions[1:])})
    text = whole.model_copy(update={"layers": (dull, layer)}).render(600)
    assert f"layer {LAST} (" in text and "layer 0 (" not in text and "more lines cut" in text


def test_an_identical_copy_is_no_difference_and_no_lists(tokenizer: PreTrainedTokenizerFast, context: Context) -> None:
    reading = taken(copied_pair(tokenizer), context, depths=[0.0])
    assert reading.identical and not reading.layers and not list(reading.quotable())
    assert NO_DIFFERENCE in reading.render()


def test_models_that_part_later_are_not_called_identical(planted: LocalPair, context: Context) -> None:
    reading = taken(planted, context, depths=[0.0, 0.5])
    assert not reading.identical and len(reading.layers) == 2
    assert not any(found.tokens for at in reading.layers for p in at.positions for found in p.difference)
    assert not any(reading.quotable())
    text = reading.render()
    assert text.count("no difference, value for value") == 2 and NO_DIFFERENCE not in text
    assert "the models part after layer 1" in text
    both = taken(planted, context, depths=[1.0, 0.0], reads=["lens"])
    assert [layer.layer for layer in both.layers] == [0, LAST]
    assert [bool(layer.positions[0].difference[0].tokens) for layer in both.layers] == [False, True]


def test_reads_come_in_the_order_asked_for_and_only_those(two: LocalPair, context: Context) -> None:
    reading = taken(two, context, reads=["added", "lens", "added"], depths=[0.5, 0.0])
    assert [layer.layer for layer in reading.layers] == [0, 1]
    for layer in reading.layers:
        assert [found.read for found in layer.positions[0].difference] == [Read.ADDED, Read.LENS]
        assert [found.read for found in layer.random] == [Read.ADDED, Read.LENS]


def test_the_reference_can_be_asked_to_carry_on(two: LocalPair, context: Context) -> None:
    organism, reference = (taken(two, context, reads=["lens", "added"], on=side) for side in ("organism", "reference"))
    lens, added = zip(*(r.layers[0].positions[0].difference for r in (organism, reference)), strict=True)
    assert lens[0] != lens[1] and added[0] == added[1]


def test_one_side_after_the_other_is_asked(two: LocalPair, context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    sides: list[Side] = []
    using = LocalPair._using
    assert two.interior.n_layers == DEPTH
    monkeypatch.setattr(LocalPair, "_using", lambda pair, side: (sides.append(side), using(pair, side))[1])
    taken(two, context, depths=[0.0, 1.0], reads=["added", "lens", "patchscope"])
    changes = sum(one is not other for one, other in itertools.pairwise(sides))
    # Means of both, random states of both, the organism's output layer, the reference's.
    assert changes == 4


def test_a_token_that_would_break_lines_is_shown_escaped(
    tokenizer: PreTrainedTokenizerFast, planted: LocalPair, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = " x\n2. forged: \x1b[2J" + "y" * 300
    from finetrace.tools.token_lists import Speller

    plain = Speller.text
    monkeypatch.setattr(Speller, "text", lambda speller, token: hostile if plain(speller, token) else None)
    text = taken(planted, context, depths=[1.0], reads=["lens"]).render()
    assert "x\\n2. forged: \\x1b[2J" in text and "\x1b" not in text
    assert not any(line.startswith("2. forged") for line in text.splitlines())
    assert "y" * 60 not in text


def chosen_list(prompt: str) -> str:
    """Takes the second list of each group."""
    return "LIST: 2\nTOKENS: []"


def test_a_grader_chooses_the_scale_and_the_reading_says_so(planted: LocalPair, context: Context) -> None:
    grader = Scripted(chosen_list)
    asked = Context(cache=context.cache, grader=grader)
    reading = taken(planted, asked, depths=[1.0], reads=["patchscope", "patchscope_negative"])
    lists = [position.difference for position in reading.layers[0].positions]
    # Groups of ten: 2nd, 12th and 22nd of the grid, and of these the second.
    assert [patched.scale for patched, _ in lists] == [1.6] * 4
    assert all(patched.reason.startswith("chosen by the grader scripted model") for patched, _ in lists)
    assert all(negative.reason.startswith("chosen by agreement:") for _, negative in lists)
    assert len(grader.asked) == 4 * 4 and "height" in grader.asked[0]
    assert "chosen by the grader scripted model" in reading.render()
    assert all(token.value for patched, _ in lists for token in patched.tokens)


def test_a_grader_that_cannot_be_read_leaves_the_rule(planted: LocalPair, context: Context) -> None:
    asked = Context(cache=context.cache, grader=Scripted(lambda prompt: "I cannot say."))
    ruled = taken(planted, context, depths=[1.0], reads=["patchscope"]).layers[0].positions[0].difference[0]
    found = taken(planted, asked, depths=[1.0], reads=["patchscope"]).layers[0].positions[0].difference[0]
    assert found.scale == ruled.scale and found.tokens == ruled.tokens
    assert "as the grader's answer could not be read" in found.reason and "grader" not in ruled.reason


def test_where_there_are_no_activations_there_is_no_instrument(two: LocalPair, context: Context) -> None:
    without = RestrictedPair(two, frozenset(Capability) - {Capability.ACTIVATIONS})
    assert available(INSTRUMENT, two)
    for pair in (RecordedPair([]), without):
        assert not available(INSTRUMENT, pair)
        with pytest.raises(ToolError, match="activation_difference needs activations"):
            taken(pair, context)


@pytest.mark.parametrize(
    "wrong",
    [{"depths": [1.5]}, {"depths": ["nan"]}, {"depths": []}, {"positions": 0}, {"n_texts": 1}, {"reads": ["lense"]}],
)
def test_wrong_arguments_are_told_before_anything_is_measured(wrong: dict[str, Sequence[Any]]) -> None:
    with pytest.raises(ToolError, match=next(iter(wrong))):
        parse_arguments(INSTRUMENT, wrong)


def test_positions_beyond_the_eighth_are_measured_and_not_read(
    two: LocalPair, context: Context, tmp_path: Path
) -> None:
    file = tmp_path / "text.txt"
    file.write_text("\n\n".join(f"{i} boats leave the harbour at noon." for i in range(10, 40)))
    reading = taken(two, context, positions=12, reads=["lens"], corpora=[str(file)], depths=[0.0])
    assert [position.position for position in reading.layers[0].positions] == [None, *range(8)]
    assert "4 of 12 positions were not turned into tokens: 8 to 11" in reading.notes
    (norms,) = [note for note in reading.notes if note.startswith("norms of the difference there at layer 0: ")]
    assert len(norms.partition(": ")[2].split(", ")) == 4
