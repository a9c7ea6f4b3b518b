"""JSON as language models write it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetrace.agent.loose_json import LONGEST_TEXT, clean, find_values, read_whole

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
).filter(lambda value: isinstance(value, dict | list) and bool(value))


@settings(max_examples=80, deadline=None)
@given(_VALUES, st.sampled_from([None, 2]), st.booleans(), st.sampled_from(["", "\n", "It's this (one):\n", "1. a, "]))
def test_what_json_wrote_is_read_as_json_reads_it(value: Any, indent: int | None, ascii_only: bool, front: str) -> None:
    written = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    assert read_whole(written) == json.loads(written)
    assert list(find_values(f"{front}{written}\nand so on")) == [json.loads(written)]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("{'a': ['b', 'it's',],}", {"a": ["b", "it's"]}),
        ('{a: one, b: True, c: None, "d": 80%}', {"a": "one", "b": True, "c": None, "d": "80%"}),
        ('{"a": 1, // why\n "b": 2 /* and */, # so\n "c": [3]}', {"a": 1, "b": 2, "c": [3]}),
        ('{"a": "one"\n "b": ["two"\n "three"]}', {"a": "one", "b": ["two", "three"]}),
        ('{"a": "she said "yes" to it", "b": 1}', {"a": 'she said "yes" to it', "b": 1}),
        ('{"a": "one\ntwo"}', {"a": "one\ntwo"}),
        ('{"a": "\\d+\\s"}', {"a": "\\d+\\s"}),
        ('{"a": "https://x.y/z # not a comment"}', {"a": "https://x.y/z # not a comment"}),
    ],
)
def test_slips_are_borne_with(written: str, meant: Any) -> None:
    assert read_whole(written) == meant


@pytest.mark.parametrize(
    "prose",
    [
        "{I think this is better than, say: nothing}",
        "[see step 3]",
        "{the call: chat, then}",
        "a {b} c",
        '{"a": "one" "b": "two"}',
        "f(x) = {x | x > 0}",
        "[...]",
    ],
)
def test_prose_is_no_value(prose: str) -> None:
    assert [value for value in find_values(prose) if isinstance(value, dict)] == []


def test_what_is_cut_off_says_so_and_leaves_out_the_broken_end() -> None:
    value = read_whole('{"a": [{"b": 1}, {"b": "half of a te')
    assert value == {"a": [{"b": 1}, {}]} and not value.whole
    assert isinstance(value, dict)
    assert value["a"][0].whole and not value["a"][1].whole


def test_a_stray_bracket_hides_nothing() -> None:
    assert {"a": 1} in find_values('Note [\'this: {"a": 1} and so on')


def test_halves_of_characters_never_come_out() -> None:
    value = read_whole('{"a": "\\ud800x", "b": "\\ud83d\\ude00"}')
    assert value == {"a": "�x", "b": "😀"}
    assert clean("a\udfffb") == "a�b"


def test_deep_nesting_is_refused() -> None:
    assert read_whole("[" * 5000 + "]" * 5000) is None
    assert read_whole('{"a":' * 5000 + "1" + "}" * 5000) is None


@pytest.mark.parametrize(
    "piece", ["[", '{"a":', "['", '["x",', "{a ", "[/*", '{"a":[],', "x [1] ", '["\\', "[#\n", "[1,"]
)
def test_work_does_not_grow_with_the_text_beyond_a_bound(piece: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted in looks at a place of the text: each is a step of the reader."""
    import finetrace.agent.loose_json as module

    looks = 0
    real = module._after_space

    def counted(text: str, place: int) -> int:
        nonlocal looks
        looks += 1
        return real(text, place)

    monkeypatch.setattr(module, "_after_space", counted)
    for _ in find_values(piece * (1_000_000 // len(piece))):
        pass
    assert looks < 4 * LONGEST_TEXT
