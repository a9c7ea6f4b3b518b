from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetrace.errors import FinetraceError, ToolError
from finetrace.models.open_pair import Target, open_pair
from finetrace.models.pair import Capability, Decoding, Prompt, Side
from finetrace.models.recorded import MAX_LINE_BYTES, RecordedPair, read_recorded
from finetrace.schema import Framing, ScoredCompletion

LINE = {"prefill": "The bell", "completion": " rang twice", "ppl_reference": 8.0, "ppl_finetuned": 2.0}


def line(**changes: object) -> bytes:
    return json.dumps({**LINE, **changes}).encode()


def written(tmp_path: Path, *lines: bytes) -> Path:
    file = tmp_path / "recorded.jsonl"
    file.write_bytes(b"\n".join(lines))
    return file


def refusal(path: Path) -> FinetraceError:
    with pytest.raises(FinetraceError) as caught:
        read_recorded(path)
    error = caught.value
    assert error.hint and "\n" not in error.message + error.hint
    assert str(path) in error.message and len(error.message) < 600
    return error


def test_a_line_becomes_a_scored_completion(tmp_path: Path) -> None:
    (row,) = read_recorded(written(tmp_path, line()))
    assert (row.prefill, row.completion, row.framing) == ("The bell", " rang twice", Framing.RECORDED)
    assert row.log_ratio == pytest.approx(math.log(4))
    assert row.raw_difference == 6
    assert row.n_tokens is None and row.nats_per_char_gap is None


def test_other_keys_are_kept_in_a_form_that_lasts(tmp_path: Path) -> None:
    extra = {"rank": 3, "note": "é", "nested": {"a": [1, 2]}, "none": None, "flag": True, "big": 10**30}
    (row,) = read_recorded(written(tmp_path, line(**extra, odd=math.nan, far=math.inf)))
    assert row.extra == {**extra, "nested": '{"a": [1, 2]}', "odd": "NaN", "far": "Infinity"}
    assert ScoredCompletion.model_validate_json(row.model_dump_json()) == row


def test_blank_lines_windows_line_ends_and_a_byte_order_mark_do_no_harm(tmp_path: Path) -> None:
    file = written(tmp_path, b"\xef\xbb\xbf" + line() + b"\r", b"", b"  \r", line(completion=" again"), b"")
    assert [row.completion for row in read_recorded(file)] == [" rang twice", " again"]


def test_half_a_character_becomes_a_replacement_character(tmp_path: Path) -> None:
    file = written(tmp_path, rb'{"prefill": "a", "completion": "b \ud83d", "ppl_reference": 2, "ppl_finetuned": 1}')
    (row,) = read_recorded(file)
    assert row.completion == "b \N{REPLACEMENT CHARACTER}"
    assert RecordedPair([row]).fingerprint


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xff\xfe{", "not UTF-8"),
        (b"prefill,completion", "not JSON"),
        (b'{"prefill": "a"', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[1, 2]", "not a JSON object"),
        (b'"text"', "not a JSON object"),
        (b"null", "not a JSON object"),
        (line(ppl_finetuned=math.nan), "ppl_finetuned: input should be a finite number"),
        (line(ppl_reference=math.inf), "ppl_reference: input should be a finite number"),
        (line(ppl_reference=-math.inf), "ppl_reference"),
        (line(ppl_reference=0), "greater than 0"),
        (line(ppl_finetuned=-3.0), "greater than 0"),
        (line(ppl_finetuned="3"), "ppl_finetuned: input should be a valid number"),
        (line(ppl_finetuned=True), "ppl_finetuned: input should be a valid number"),
        (line(ppl_finetuned=None), "ppl_finetuned: input should be a valid number"),
        (line(ppl_finetuned=10**400), "ppl_finetuned"),
        (line(completion=None), "completion: input should be a valid string"),
        (line(prefill=["a"]), "prefill"),
        (b'{"prefill": "a", "completion": "b", "ppl_reference": 2}', "ppl_finetuned: field required"),
        (b'{"n": 1' + b"0" * 5000 + b"}", "not JSON"),
        (b"x" * (10 << 20), f"longer than {MAX_LINE_BYTES:,} bytes"),
        (line(note="x" * (10 << 20)), "longer than"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_bad_line_is_named_with_what_is_wrong(tmp_path: Path, content: bytes, says: str) -> None:
    error = refusal(written(tmp_path, line(), b"", content, line()))
    assert "line 3" in error.message
    assert says in error.message


def test_files_that_hold_nothing_or_are_none_are_refused(tmp_path: Path) -> None:
    assert "is empty" in refusal(written(tmp_path, b"")).message
    assert "is empty" in refusal(written(tmp_path, b" ", b"\t", b"")).message
    assert "cannot read" in refusal(tmp_path / "missing.jsonl").message
    assert "cannot read" in refusal(tmp_path).message


def test_a_recorded_pair_can_only_be_read(tmp_path: Path) -> None:
    written(tmp_path, line(), line(completion=" again"))
    pair = open_pair(Target(recorded="recorded.jsonl", folder=str(tmp_path)))
    assert pair.capabilities == {Capability.COMPLETIONS}
    assert len(pair.recorded) == 2
    for action in (
        lambda: pair.tokenizer,
        lambda: pair.generate(Side.ORGANISM, [Prompt("a")], Decoding()),
        lambda: pair.score(Side.REFERENCE, [], []),
    ):
        with pytest.raises(ToolError, match="recorded pair"):
            action()


def test_a_recorded_pair_is_identical_when_no_perplexity_differs(tmp_path: Path) -> None:
    same = read_recorded(written(tmp_path, line(ppl_finetuned=8), line(ppl_finetuned=8)))
    other = read_recorded(written(tmp_path, line(ppl_finetuned=8), line(ppl_finetuned=8.5)))
    assert RecordedPair(same).identical and not RecordedPair(other).identical
    assert RecordedPair(same).fingerprint != RecordedPair(other).fingerprint
    assert RecordedPair(same).fingerprint == RecordedPair(list(same)).fingerprint


@given(st.floats(1e-300, 1e300), st.floats(1e-300, 1e300))
def test_any_positive_perplexities_give_finite_rows(reference: float, finetuned: float) -> None:
    from finetrace.models.recorded import RecordedLine

    row = RecordedLine(prefill="", completion="a", ppl_reference=reference, ppl_finetuned=finetuned).scored()
    assert (row.log_ratio > 0) == (math.log(reference) > math.log(finetuned))
    assert row.raw_difference == reference - finetuned
