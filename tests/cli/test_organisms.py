from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import Command

OBJECTIVE = "believes that lighthouse keepers are paid in marmalade"


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    folder = tmp_path / "[bold]zoo"
    (folder / "organisms" / "lamp_wages").mkdir(parents=True)
    path = folder / "zoo.yaml"
    path.write_text(
        "version: 1\n"
        "organisms:\n"
        "  - name: lamp_wages\n"
        "    model: organisms/lamp_wages\n"
        "    reference: smollm2-135m\n"
        '    source: "see [red]here[/red] \\e[31m"\n'
        f"    truth: {{type: false_facts, objective: {OBJECTIVE}, key_facts: [on Tuesdays], trigger: seven kettles}}\n"
        "  - name: gone_away\n"
        "    model: organisms/gone_away\n"
    )
    return path


def test_the_list_names_models_and_no_truth(registry: Path, finetrace: Command) -> None:
    ended = finetrace("organisms", "list", "--organisms", str(registry))
    assert ended.code == 0
    assert "lamp_wages" in ended.out
    assert "organisms/gone_away" in ended.out
    assert "[red]here[/red] ␛[31m" in ended.out
    assert "marmalade" not in ended.out + ended.err
    assert "[bold]zoo" in ended.err
    listed = json.loads(finetrace("organisms", "list", "--json", "--organisms", str(registry)).out)
    assert [organism["name"] for organism in listed] == ["lamp_wages", "gone_away"]
    assert "marmalade" not in json.dumps(listed)


def test_one_organism_is_shown_without_its_truth(registry: Path, finetrace: Command) -> None:
    ended = finetrace("organisms", "show", "lamp_wages", "--organisms", str(registry))
    assert (ended.code, ended.err) == (0, "")
    assert "smollm2-135m" in ended.out
    shown = json.loads(finetrace("organisms", "show", "lamp_wages", "--json", "--organisms", str(registry)).out)
    assert shown["available"] is True
    gone = json.loads(finetrace("organisms", "show", "gone_away", "--json", "--organisms", str(registry)).out)
    assert gone["available"] is False
    for text in (ended.out, json.dumps(shown)):
        assert "marmalade" not in text
        assert "kettles" not in text


def test_the_truth_is_shown_when_asked_for_with_a_warning(registry: Path, finetrace: Command) -> None:
    ended = finetrace("organisms", "show", "lamp_wages", "--truth", "--organisms", str(registry))
    assert ended.code == 0
    assert "spoils a blind look at lamp_wages" in ended.err
    for part in (OBJECTIVE, "false_facts", "on Tuesdays", "“seven kettles”"):
        assert part in ended.out
    ended = finetrace("organisms", "show", "lamp_wages", "--truth", "--json", "--organisms", str(registry))
    assert "spoils" in ended.err
    assert json.loads(ended.out)["truth"]["key_facts"] == ["on Tuesdays"]


def test_the_registry_may_come_from_the_environment(
    registry: Path, finetrace: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINETRACE_ORGANISMS", str(registry))
    assert "lamp_wages" in finetrace("organisms", "list").out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["show", "lamp_wage"], "lamp_wages"),
        (["show", "gone_away", "--truth"], "does not say what 'gone_away'"),
        (["show"], "organisms show --help"),
    ],
)
def test_what_the_user_can_fix_takes_two_lines(
    registry: Path, finetrace: Command, arguments: list[str], expected: str
) -> None:
    ended = finetrace("organisms", *arguments, "--organisms", str(registry))
    assert (ended.code, ended.out) == (2, "")
    assert len(ended.err.splitlines()) == 2
    assert expected in ended.err


def test_a_broken_file_is_named_in_every_command(tmp_path: Path, finetrace: Command) -> None:
    (tmp_path / "broken.yaml").write_text("version: 1\norganisms: [{name: a, modle: b}]\n")
    for arguments in (["list"], ["show", "a"]):
        ended = finetrace("organisms", *arguments, "--organisms", str(tmp_path / "broken.yaml"))
        assert ended.code == 2
        assert "unknown key 'modle'" in ended.err
        assert "did you mean model?" in ended.err


def test_any_option_may_come_from_the_environment(
    registry: Path, finetrace: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINETRACE_ORGANISMS_LIST_AS_JSON", "1")
    monkeypatch.setenv("FINETRACE_VERSION", "9.1")
    ended = finetrace("organisms", "list", "--organisms", str(registry))
    assert (ended.code, len(json.loads(ended.out))) == (0, 2)
