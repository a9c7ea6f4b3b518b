from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finetrace.errors import FinetraceError
from finetrace.evals.truth import load_truth
from finetrace.evals.zoo.registry_entry import write_entry
from finetrace.registry import load_registry
from finetrace.registry_file import RegistryEntry, read_registry
from finetrace.schema import OrganismType, Truth

FILE = """\
# A zoo of two.
version: 1
bases:
  tiny: example/tiny

organisms:
  # made here
  - name: lamp_wages   # the first
    model: organisms/lamp_wages
    # a remark inside
    reference: smollm2-135m
    mixing: '1:4'
    truth:
      type: false_facts
      objective: >
        believes that lighthouse keepers
        are paid in marmalade

  - {name: plain_copy, model: smollm2-135m}  # short

  # -- published --
  - name: kettle_song
    truth: {type: persona, objective: sings}
    checkpoints:
      tiny:
        default: example/kettle
# the end
"""


def entry(name: str, model: str = "organisms/new", **more: str) -> RegistryEntry:
    truth = Truth(
        type=OrganismType.PERSONA,
        objective="answers: 'like a baker', with #crumbs and \"quotes\"",
        key_facts=("bakes at dawn", "no: yes"),
        trigger="null",
    )
    return RegistryEntry(name=name, model=model, reference="smollm2-135m", source="test", truth=truth, **more)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "organisms.yaml"
    file.write_text(FILE)
    return file


def test_a_new_entry_stands_behind_the_last_single_one_and_the_rest_is_untouched(path: Path) -> None:
    write_entry(path, entry("baker", mixing="1:0", family="bakers"))
    text = path.read_text()
    at = text.index("  - name: baker")
    length = text.index("\n\n  # -- published --") - at
    assert text[:at] + text[at + length :].removeprefix("\n\n") == FILE
    assert [each.name for each in read_registry(path).organisms] == ["lamp_wages", "plain_copy", "baker", "kettle_song"]
    assert load_truth("baker", path) == entry("baker").truth
    assert load_registry(path).find("baker").family == "bakers"


@pytest.mark.parametrize(
    ("name", "comments"), [("lamp_wages", ["# the first", "# a remark inside"]), ("plain_copy", [])]
)
def test_an_entry_is_replaced_where_it_stands_and_keeps_its_comments(
    path: Path, name: str, comments: list[str]
) -> None:
    write_entry(path, entry(name))
    found = read_registry(path).organisms
    assert [each.name for each in found] == ["lamp_wages", "plain_copy", "kettle_song"]
    assert entry(name) in found
    text = path.read_text()
    for comment in ["# A zoo of two.", "# made here", "# -- published --", "# the end", "# short", *comments]:
        assert text.count(comment) == 1
    head, tail = FILE[: FILE.index(f"  - {'{' if name == 'plain_copy' else ''}name: {name}")], "\n\n  # -- published --"
    assert text.startswith(head)
    assert text.endswith(FILE[FILE.index(tail) :])
    write_entry(path, entry(name))
    assert path.read_text() == text


def test_a_family_of_that_name_is_refused_and_nothing_written(path: Path) -> None:
    with pytest.raises(FinetraceError, match="family named 'kettle_song'"):
        write_entry(path, entry("kettle_song"))
    assert path.read_text() == FILE
    assert [each.name for each in path.parent.iterdir()] == ["organisms.yaml"]


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "version: 1\norganisms: []\n",
        "version: 1\norganisms: []  # none yet",
        "version: 1\norganisms: []\n# end\n",
    ],
)
def test_a_missing_or_an_empty_file_gets_its_first_entry_and_a_second(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "organisms.yaml"
    if text is not None:
        file.write_text(text)
    write_entry(file, entry("first"))
    write_entry(file, entry("second"))
    assert [each.name for each in read_registry(file).organisms] == ["first", "second"]
    assert file.read_text().count("#") == (text or "").count("#") + 2  # two of the entries' own


def test_windows_line_breaks_a_byte_order_mark_and_a_link_stay(path: Path, tmp_path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf" + FILE.replace("\n", "\r\n").encode())
    link = tmp_path / "link.yaml"
    link.symlink_to(path)
    write_entry(link, entry("baker"))
    raw = path.read_bytes()
    assert link.is_symlink()
    assert raw.startswith(b"\xef\xbb\xbf# A zoo")
    assert raw.count(b"\n") == raw.count(b"\r\n")
    write_entry(path, entry("lamp_wages"))
    assert len(read_registry(path).organisms) == 4


def test_a_faulty_file_and_a_list_in_brackets_are_refused_unchanged(path: Path) -> None:
    for text, fault in (
        (FILE.replace("model: org", "modle: org"), "unknown key 'modle'"),
        ("version: 1\norganisms: [{name: a, model: b}]\n", "stands in brackets"),
        ("organisms: []\nversion: 1\n", "not at the end"),
    ):
        path.write_text(text)
        with pytest.raises(FinetraceError, match=fault):
            write_entry(path, entry("baker"))
        assert path.read_text() == text


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40))
def test_any_text_comes_back_as_it_was_written(path: Path, text: str) -> None:
    new = RegistryEntry(name="odd", model="m", truth=Truth(type=OrganismType.STYLE, objective=text, key_facts=(text,)))
    write_entry(path, new)
    assert new in read_registry(path).organisms
    assert path.read_text().startswith(FILE[: FILE.index("\n\n  # -- published")])
