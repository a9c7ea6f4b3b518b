from __future__ import annotations

import random
import re
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from finetrace.errors import FinetraceError
from finetrace.tools import library_text
from finetrace.tools.corpora import SELF_PASSAGES, Corpus, check_corpus, load_corpus, own_openings, prefills
from finetrace.tools.passages import openings_of


class WordTokenizer:
    """Words with their leading space, and single marks; ids in order of first sight."""

    all_special_ids = (0,)

    def __init__(self) -> None:
        self.ids = {"<|end|>": 0}

    def __call__(self, text: list[str], *, add_special_tokens: bool) -> Mapping[str, Sequence[Sequence[int]]]:
        assert not add_special_tokens
        return {"input_ids": [[self._id(piece) for piece in self._pieces(one)] for one in text]}

    def decode(self, token_ids: Sequence[int], *, clean_up_tokenization_spaces: bool) -> str:
        assert not clean_up_tokenization_spaces
        pieces = list(self.ids)
        return "".join(pieces[token] for token in token_ids)

    def _pieces(self, text: str) -> list[str]:
        return re.findall(r"<\|end\|>|\s?\w+|\s?[^\w\s]|\s", text)

    def _id(self, piece: str) -> int:
        return self.ids.setdefault(piece, len(self.ids))


def corpus(*documents: str) -> Corpus:
    return Corpus("mine", "digest", documents)


@pytest.fixture
def load(tmp_path: Path):
    def call(spec: str | Path, seed: int = 0, sample=None) -> Corpus:
        return load_corpus(str(spec), seed=seed, sample=sample, cache_dir=tmp_path / "cache")

    return call


@pytest.fixture
def small_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A standard library of a few files, so that tests need not parse the real one."""
    library = tmp_path / "lib"
    (library / "test").mkdir(parents=True)
    for number, letter in enumerate("abcdefghij"):
        prose = f"{letter.upper()}{{}} gives back the value that came in."
        body = "\n\n".join(
            f'def {letter}{name}(x):\n    """{prose.format(name)}"""\n    return x' for name in ("one", "two", "three")
        )
        (library / f"m{number}.py").write_text(body)
    (library / "test" / "hidden.py").write_text("SECRET_OF_THE_TESTS = 1 + 1")
    (library / "broken.py").write_text("def (")
    (library / "latin.py").write_bytes(b"# caf\xe9\n")
    monkeypatch.setattr(library_text, "FEWEST", 5)
    monkeypatch.setattr(library_text.sysconfig, "get_paths", lambda: {"stdlib": str(library)})
    return library


# prefills


def test_prefills_are_distinct_and_exactly_as_long_as_asked():
    tokenizer = WordTokenizer()
    taken = prefills(corpus("a b c d", "a b c e", "b c d", "too short", "x y z"), tokenizer, 10)
    assert sorted(prefill.text for prefill in taken) == ["a b c", "b c d", "x y z"]
    assert all(len(prefill.token_ids) == 3 and prefill.corpus == "mine" for prefill in taken)


def test_prefill_row_leads_back_to_its_document():
    documents = corpus(*(f"w{i} x y z" for i in range(50)))
    for prefill in prefills(documents, WordTokenizer(), 50):
        assert documents.documents[prefill.row].startswith(prefill.text)


def test_prefills_repeat_for_a_seed_and_differ_between_seeds():
    documents = corpus(*(f"w{i} x y" for i in range(2000)))
    first = prefills(documents, WordTokenizer(), 20, seed=1)
    assert [p.text for p in first] == [p.text for p in prefills(documents, WordTokenizer(), 20, seed=1)]
    assert [p.text for p in first] != [p.text for p in prefills(documents, WordTokenizer(), 20, seed=2)]


def test_fewer_prefills_are_a_beginning_of_more():
    documents = corpus(*(f"w{i} x y" for i in range(100)))
    tokenizer = WordTokenizer()
    assert prefills(documents, tokenizer, 7) == prefills(documents, tokenizer, 70)[:7]


def test_special_tokens_and_broken_characters_do_not_begin_a_completion():
    taken = prefills(corpus("<|end|> a b", "a b \ufffd c", "a b c"), WordTokenizer(), 5)
    assert [prefill.text for prefill in taken] == ["a b c"]


@pytest.mark.parametrize(("n", "n_tokens"), [(0, 3), (5, 0), (-1, 3)])
def test_asking_for_no_prefills_is_a_user_error(n: int, n_tokens: int):
    with pytest.raises(FinetraceError, match="cannot take"):
        prefills(corpus("a b c"), WordTokenizer(), n, n_tokens)


def test_a_corpus_without_long_enough_documents_is_a_user_error():
    with pytest.raises(FinetraceError, match="has 9 tokens"):
        prefills(corpus("a b c"), WordTokenizer(), 5, 9)


# built-in corpora


def test_own_openings_are_many_short_and_varied(load):
    openings = own_openings()
    assert len(openings) == len(set(openings)) >= 400
    assert all(3 <= len(line.split()) <= 12 and line == line.strip() for line in openings)
    first_words = {line.split()[0].lower() for line in openings}
    assert len(first_words) >= 0.97 * len(openings)
    assert sorted(load("own").documents) == sorted(openings)


def test_order_and_digest_follow_the_seed(load):
    once, again, other = load("own", 1), load("own", 1), load("own", 2)
    assert once == again
    assert once.documents != other.documents
    assert once.digest != other.digest


def test_digest_follows_the_documents(load, tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_text("one\ntwo")
    before = load(path).digest
    path.write_text("one\ntwo more")
    assert load(path).digest != before


def test_python_corpus_mixes_prose_and_code_and_leaves_tests_out(load, small_library: Path):
    documents = load("python").documents
    prose = [document for document in documents if "gives back the value" in document.split("\n")[0]]
    assert len(prose) == len(documents) / 2
    assert any(document.startswith("def ") for document in documents)
    assert not any("SECRET" in document for document in documents)


def test_python_corpus_is_kept_and_a_damaged_copy_made_again(load, small_library: Path, tmp_path: Path):
    first = load("python")
    (kept,) = (path for path in (tmp_path / "cache").rglob("*") if path.is_file())
    for file in small_library.glob("*.py"):
        file.unlink()
    assert load("python") == first

    kept.write_bytes(kept.read_bytes().replace(b"gives back", b"gives away"))
    with pytest.raises(FinetraceError, match="too little source text"):  # it looks at the library once more
        load("python")


def test_python_corpus_needs_a_cache_folder_it_can_write_to(small_library: Path, tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FinetraceError, match="cannot write to the cache") as caught:
        load_corpus("python", seed=0, cache_dir=tmp_path / "file")
    assert "FINETRACE_CACHE_DIR" in caught.value.hint


def test_running_library_yields_two_thousand_prefills_of_the_embedded_base(load, tokenizer):
    taken = prefills(load("python"), tokenizer, 2000)
    assert len({prefill.token_ids for prefill in taken}) == 2000
    assert all(tokenizer.decode(prefill.token_ids) == prefill.text for prefill in taken)


def test_chat_marks_in_a_text_begin_no_completion(tokenizer):
    marked = ("<|im_start|>user says hello", "A<|im_end|> b c", "Plain text of some words")
    assert [p.text for p in prefills(corpus(*marked), tokenizer, 9)] == ["Plain text"]


def test_self_takes_several_openings_of_each_sampled_passage(load):
    asked: list[tuple[int, int]] = []

    def sample(n: int, seed: int) -> list[str]:
        asked.append((n, seed))
        return ["The mill stood by the water. Nobody used it any more. A heron came each day."]

    documents = load("self", 3, sample).documents
    assert asked == [(SELF_PASSAGES, 3)]
    assert {"Nobody used it any more. A heron came each day.", "A heron came each day."} < set(documents)


def test_self_without_a_reference_is_a_user_error(load):
    with pytest.raises(FinetraceError, match="none here"):
        load("self")


def test_self_says_so_when_the_reference_writes_nothing_usable(load):
    with pytest.raises(FinetraceError, match="no usable text"):
        load("self", sample=lambda n, seed: ["", "0" * 200, "ha " * 100])


# openings of passages


def passages(n: int) -> Iterator[str]:
    chooser = random.Random(0)
    for _ in range(n):
        text = ["".join(chooser.choices("abdeghiklmnoprstu", k=6)) for _ in range(80)]
        yield ". ".join(" ".join(text[i : i + 16]).capitalize() for i in range(0, 80, 16)) + "."


def test_openings_are_sentences_where_these_suffice_and_reach_further_only_where_needed():
    many = openings_of(list(passages(700)))
    assert len(many) == 700 * 5
    assert all(opening[0].isupper() for opening in many)
    few = openings_of(list(passages(20)))
    assert sum(opening[0].isupper() for opening in few) == 20 * 5
    assert 20 * 5 < len(few) <= 2500
    assert len(openings_of(list(passages(256)))) == 2500


def test_openings_are_distinct_by_their_first_words_and_keep_clear_of_loops():
    twice = "The old bridge was closed. the Old bridge was open! "
    openings = openings_of([twice, twice, "again and again " * 40])
    assert len({tuple(opening.lower().split()[:3]) for opening in openings}) == len(openings)
    assert not any("again" in opening for opening in openings)


# files


def test_text_file_by_paragraphs(load, tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfFirst line\r\nsame paragraph\r\n\r\n  \r\nSecond one\r\n")
    assert sorted(load(path).documents) == ["First line\nsame paragraph", "Second one"]


@pytest.mark.parametrize("content", ["First line\nSecond line", "\n\nFirst line\nSecond line\n\n \n"])
def test_text_file_by_lines_where_no_blank_line_parts_them(load, tmp_path: Path, content: str):
    path = tmp_path / "a.txt"
    path.write_text(content)
    assert sorted(load(path).documents) == ["First line", "Second line"]


def test_only_the_first_documents_of_a_large_file_are_read(load, tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_text("\n".join(f"line {number}" for number in range(20_500)) + "\n\ncaf")
    assert len(load(path).documents) == 20_000


def test_jsonl_by_key_by_only_string_and_bare(load, tmp_path: Path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "one", "title": "x"}\n\n{"body": "two", "id": 4}\n"three"\n')
    assert sorted(load(path).documents) == ["one", "three", "two"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.txt", b"", "holds no text"),
        ("blank.txt", b" \n\n\t\n", "holds no text"),
        ("latin.txt", b"fine\ncaf\xe9\n", r"line 2: not UTF-8 \(byte 4"),
        ("cut.jsonl", b'{"text": "a"}\n{"text": \n', "line 2: not JSON"),
        ("deep.jsonl", b"[" * 100_000, "line 1: not JSON"),
        ("number.jsonl", b"3\n", "line 1: no text"),
        ("unclear.jsonl", b'{"a": "x", "b": "y"}\n', "line 1: no text"),
        ("table.csv", b"a,b\n", "cannot tell how to read"),
    ],
)
def test_unusable_file_is_named_with_its_line(load, tmp_path: Path, name: str, content: bytes, message: str):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FinetraceError, match=message) as caught:
        load(tmp_path / name)
    assert name in caught.value.message
    assert caught.value.hint


def test_missing_file_offers_its_neighbours(load, tmp_path: Path):
    (tmp_path / "stories.txt").write_text("x")
    with pytest.raises(FinetraceError, match="no such file") as caught:
        load(tmp_path / "storys.txt")
    assert "stories.txt" in caught.value.hint


def test_folder_is_a_user_error(load, tmp_path: Path):
    with pytest.raises(FinetraceError, match="is a folder"):
        load(tmp_path)


def test_long_lines_are_cut_and_endless_ones_refused(load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "a.txt"
    path.write_text("x" * 10_000_000 + "\nshort line")
    assert max(map(len, load(path).documents)) == 20_000
    monkeypatch.setattr("finetrace.tools.text_sources.LONGEST_LINE", 1024 * 1024)
    with pytest.raises(FinetraceError, match="line 1: longer than 1 MiB"):
        load(path)


def test_unknown_corpus_offers_the_nearest_name(load):
    with pytest.raises(FinetraceError, match="did you mean python"):
        load("pyhton")


# names, before anything is loaded


@pytest.mark.parametrize("name", ["own", "python", "self", " own ", "NeelNanda/c4-10k"])
def test_a_name_is_sound_without_loading_it(name: str):
    check_corpus(name)


def test_a_file_is_sound_where_it_can_be_read(tmp_path: Path):
    path = tmp_path / "mine.txt"
    path.write_text("one\ntwo")
    check_corpus(str(path))
    path.write_bytes(b"caf\xe9")
    with pytest.raises(FinetraceError, match="not UTF-8"):
        check_corpus(str(path))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pyhton", "did you mean python"),
        ("", "is a folder"),
        ("missing.txt", "no such file"),
        ("no/such/folder/missing.jsonl", "no such file"),
        ("~nobody-of-this-name/text.txt", "cannot look for the corpus"),
        ("nul\0.txt", "nul"),
        ("x" * 5000, "xxx"),
        (f"{'x' * 5000}.txt", "xxx"),
    ],
)
def test_what_names_no_corpus_is_a_user_error_in_two_short_lines(load, name: str, message: str):
    for use in (check_corpus, load):
        with pytest.raises(FinetraceError, match=message) as caught:
            use(name)
        assert caught.value.hint
        assert len(caught.value.message) < 400 and "\n" not in caught.value.message


# hub data sets


def test_hub_data_set_without_the_package(load, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(FinetraceError, match="needs the package 'datasets'") as caught:
        load("owner/name")
    assert "pip install datasets" in caught.value.hint


def test_hub_data_set_takes_its_text_column(load, monkeypatch: pytest.MonkeyPatch):
    rows = [{"text": "one", "url": "x"}, {"text": "two", "url": "y"}, {"text": " ", "url": "z"}]
    monkeypatch.setitem(sys.modules, "datasets", hub(lambda path: rows))
    assert sorted(load("owner/name").documents) == ["one", "two"]


def test_hub_data_set_out_of_reach(load, monkeypatch: pytest.MonkeyPatch):
    def refuse(path: str) -> list[dict[str, object]]:
        raise RuntimeError("no route\nlong story")

    monkeypatch.setitem(sys.modules, "datasets", hub(refuse))
    with pytest.raises(FinetraceError, match=r"'owner/name': no route$"):
        load("owner/name")


def hub(answer) -> types.ModuleType:
    module = types.ModuleType("datasets")
    module.load_dataset = lambda path, *, split, streaming: answer(path)  # type: ignore[attr-defined]
    return module
