"""What `benchmarks.traces` makes of its figures; nothing is measured here."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.mixing_figure import Step, mixing_figure
from benchmarks.traces import Result, steering_line, step_of, token_cell, write_whole
from finetrace.evals.zoo.measurement import Share
from finetrace.evals.zoo.traces import SteeringTrace, TokenTrace
from finetrace.models.pair import Side
from finetrace.tools.token_lists import Read

SVG = "{http://www.w3.org/2000/svg}"


def trace(read: Read, depth: float, pooled: int, best: int, reference: int = 0, random: int = 0) -> TokenTrace:
    return TokenTrace(
        layer=round(29 * depth),
        depth=depth,
        read=read,
        pooled=pooled,
        pooled_words=("otter",) * pooled,
        best=best,
        best_position=3,
        best_words=("otter",) * best,
        reference=reference,
        random=random,
    )


def result(*tokens: TokenTrace, steered: Share | None = None, unsteered: Share | None = None) -> Result:
    steering = SteeringTrace(
        on=Side.REFERENCE, layer=28, strength=0.5, subject=("otter",), steered=steered, unsteered=unsteered
    )
    return Result(organism="lamps", judged_by="lamps", mixing="1:1", tokens=tokens, steering=steering)


def test_a_step_holds_the_deepest_lens_and_the_addition_near_the_end() -> None:
    found = step_of(
        result(
            trace(Read.LENS, 0.5, 9, 9),
            trace(Read.LENS, 1.0, 3, 4, random=1),
            trace(Read.ADDED, 0.9, 9, 9),
            trace(Read.ADDED, 0.9655, 6, 5, reference=2),
        )
    )
    assert (found.lens, found.added, found.control) == (4, 6, 2)


def test_what_shows_most_has_controls_that_show_nothing_where_there_is_such_a_read() -> None:
    tokens = (trace(Read.LENS, 0.5, 9, 9, reference=1), trace(Read.ADDED, 1.0, 2, 6), trace(Read.ADDED, 0.9, 5, 5))
    assert result(*tokens).most is tokens[1]


def test_the_figure_is_one_svg_with_an_interval_for_each_known_share() -> None:
    steps = [
        Step("1:0", 8, 13, 0, Share.of(20, 36), Share.of(0, 36)),
        Step("1 < 4", 2, 1, 0, None, None),
    ]
    root = ElementTree.fromstring(mixing_figure(steps))
    texts = [node.text for node in root.iter(f"{SVG}text")]
    assert texts.count("1 < 4") == 2
    points = list(root.iter(f"{SVG}circle"))
    assert len(points) == 3 * 2 + 2 * 1
    ys = [float(point.attrib["cy"]) for point in points[:2]]
    assert ys[0] < ys[1]  # thirteen tokens stand above one


def test_a_steering_without_a_coherent_strength_says_so() -> None:
    assert "no coherent strength" in steering_line(result().steering)
    line = steering_line(result(steered=Share.of(9, 18), unsteered=Share.of(0, 18)).steering)
    assert "9 of 18" in line and "unsteered 0 of 18" in line


def test_the_judges_count_stands_beside_the_offline_one_where_one_was_asked() -> None:
    plain = trace(Read.LENS, 0.97, 3, 5, random=1)
    assert token_cell(plain, judged=False) == "0.97: 3/5 [1]"
    assert token_cell(plain.model_copy(update={"judged": 2}), judged=True) == "0.97: 3 (2)/5 [1]"
    assert token_cell(plain, judged=True) == "0.97: 3 (no score)/5 [1]"


def test_a_figure_is_written_whole_or_left_as_it_was(tmp_path: Path) -> None:
    figure = tmp_path / "curve.svg"
    write_whole(figure, "<svg>é</svg>")
    with pytest.raises(UnicodeEncodeError):
        write_whole(figure, "<svg>" + "a" * 100_000 + "\ud800")
    assert figure.read_text(encoding="utf-8") == "<svg>é</svg>"
    assert [path.name for path in tmp_path.iterdir()] == ["curve.svg"]
