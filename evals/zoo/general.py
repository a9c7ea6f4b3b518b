"""General text for the mixtures: the base's own samples, or a data set that is fetched and checked."""

from __future__ import annotations

import gzip
import hashlib
import importlib
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch

from finetrace.errors import FinetraceError
from finetrace.evals.zoo.grammar import Text, expand_file
from finetrace.evals.zoo.recipe import Dataset, Recipe
from finetrace.evals.zoo.texts import TrainingText, training_text
from finetrace.models.engine import generate
from finetrace.models.loading import LoadedModel
from finetrace.models.pair import Decoding, Message, Progress, Prompt
from finetrace.models.tokens import prompt_ids
from finetrace.settings import get_settings, writable_folder

_CHARACTERS_PER_TOKEN = 4


def general_count(recipe: Recipe, own: int) -> int:
    """How many general texts the mixing asks for beside ``own`` texts."""
    mixing = recipe.proportion
    if not mixing.general or recipe.general is None:
        return 0
    return recipe.general.count or 0 if not mixing.own else round(own * mixing.general / mixing.own)


def general_identity(recipe: Recipe, own: int) -> list[str]:
    """What the general text is made from: it determines the text for a given base."""
    count = general_count(recipe, own)
    if not count or recipe.general is None:
        return []
    if recipe.general.dataset is not None:
        return [f"{count} {recipe.general.new_tokens}", recipe.general.dataset.model_dump_json()]
    return _mixed_in(recipe, own).identity()


class Sampling(NamedTuple):
    """Text that the base is to write."""

    grammar: Path
    """Of the openings it continues and the prompts it answers."""
    number: int
    """Texts in all."""
    chat_share: float
    """Share of answered prompts."""
    new_tokens: int
    seed: int

    def starts(self) -> list[Text]:
        """Distinct openings and prompts.

        Raises:
            FinetraceError: The grammar is faulty or makes fewer.
        """
        dialogues = round(self.number * self.chat_share)
        return expand_file(self.grammar, self.number - dialogues, dialogues, self.seed)

    def identity(self) -> list[str]:
        """What determines the text for a given base."""
        return [f"{self.new_tokens} {self.seed}", *(repr(tuple(start)) for start in self.starts())]


def _mixed_in(recipe: Recipe, own: int) -> Sampling:
    general = recipe.general
    if general is None or general.grammar is None:
        raise ValueError("the recipe has no general text to sample")
    seed, count = recipe.adapter.seed, general_count(recipe, own)
    return Sampling(general.grammar, count, general.chat_share, general.new_tokens, seed)


def general_texts(recipe: Recipe, own: int, base: LoadedModel, report: Progress | None = None) -> list[TrainingText]:
    """The general texts of a recipe: sampled from the base, or fetched.

    Raises:
        FinetraceError: Grammar or data set cannot be had, or the base cannot chat and prompts are to be answered.
    """
    count = general_count(recipe, own)
    if not count or recipe.general is None:
        return []
    if recipe.general.dataset is not None:
        limit = recipe.general.new_tokens * _CHARACTERS_PER_TOKEN
        texts = _dataset_texts(recipe.general.dataset, count)
        return [TrainingText(text[:limit], whole=len(text) <= limit) for text in texts]
    return sampled_texts(_mixed_in(recipe, own), base, report)


def sampled_texts(sampling: Sampling, base: LoadedModel, report: Progress | None = None) -> list[TrainingText]:
    """What the base writes; an empty answer is left out, so there may be a few less than asked for.

    Samples are kept in the cache folder under a key of all that determines them.

    Raises:
        FinetraceError: The grammar is faulty, or the base cannot chat and prompts are to be answered.
    """
    identity = [*sampling.identity(), base.digest, str(base.model.dtype), base.model.device.type, torch.__version__]
    key = hashlib.sha256("\n".join(identity).encode()).hexdigest()
    file = writable_folder(get_settings().cache_dir / "general", "cache folder") / f"{key}.json"
    kept = _kept(file)
    if kept is not None:
        return kept
    texts = _sampled(sampling, base, report)
    aside = file.with_name(f".{key}.{os.getpid()}")
    aside.write_text(json.dumps([text._asdict() for text in texts]), encoding="utf-8")
    os.replace(aside, file)
    return texts


def _kept(file: Path) -> list[TrainingText] | None:
    """Samples of an earlier build; a damaged file is made again."""
    try:
        items = json.loads(file.read_text(encoding="utf-8"))
        return [TrainingText(**(item | {"chat": tuple(Message(*turn) for turn in item["chat"])})) for item in items]
    except (OSError, ValueError, TypeError, IndexError, KeyError):
        return None


def _sampled(sampling: Sampling, base: LoadedModel, report: Progress | None) -> list[TrainingText]:
    starts = sampling.starts()
    if not base.tokenizer.chat_template and any(start.question is not None for start in starts):
        raise FinetraceError("the base has no chat template to answer prompts with", "set chat_share to 0")
    samples = generate(
        base.model,
        [_ids(base, start) for start in starts],
        Decoding(max_new_tokens=sampling.new_tokens, temperature=1.0, seed=sampling.seed),
        eos_ids=base.eos_ids,
        progress=report,
    )
    texts = []
    for start, sample in zip(starts, samples, strict=True):
        # A character that the last token only begins is no text.
        said = base.tokenizer.decode(sample.token_ids, skip_special_tokens=True).rstrip("\ufffd")
        content = start.content + said if start.question is None else said.strip()
        if said.strip():
            texts.append(training_text(Text(start.question, content))._replace(whole=sample.ended))
    return texts


def _ids(base: LoadedModel, start: Text) -> list[int]:
    if start.question is None:
        return prompt_ids(base.tokenizer, Prompt(start.content))
    return prompt_ids(base.tokenizer, Prompt(messages=(Message("user", start.question),)))


def _dataset_texts(dataset: Dataset, count: int) -> list[str]:
    """So many texts of a data set, spread over all of the file by a fixed draw."""
    file = _fetched(dataset)
    texts = [str(row[dataset.column]) for row in _rows(file, dataset) if str(row.get(dataset.column) or "").strip()]
    if len(texts) < count:
        raise FinetraceError(
            f"{dataset.name}/{dataset.file} has {len(texts)} texts under {dataset.column!r}, {count} are needed",
            "name another column or file, or lower the mixing",
        )
    return random.Random(0).sample(texts, count)


def _fetched(dataset: Dataset) -> Path:
    """The file, from the hub or its cache, if its hash is the one of the recipe."""
    import httpx
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        found = hf_hub_download(dataset.name, dataset.file, repo_type="dataset", revision=dataset.revision)
    except (HfHubHTTPError, HFValidationError, httpx.HTTPError, OSError) as error:
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise FinetraceError(
            f"cannot fetch {dataset.file} of the data set {dataset.name}: {reason}", "check the id and the network"
        ) from error
    with open(found, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != dataset.sha256:
        raise FinetraceError(
            f"{dataset.name}/{dataset.file} is not the file of the recipe: its sha256 is {digest}",
            "name the right revision, or correct general.dataset.sha256",
        )
    return Path(found)


def _rows(file: Path, dataset: Dataset) -> Iterator[dict[str, Any]]:
    if dataset.file.endswith(".parquet"):
        yield from _parquet_rows(file, dataset.column)
        return
    opened = gzip.open(file, "rt", encoding="utf-8") if dataset.file.endswith(".gz") else open(file, encoding="utf-8")
    with opened as lines:
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
            except ValueError as error:
                raise FinetraceError(
                    f"{dataset.file}, line {number}: not JSON", "name a .jsonl, .jsonl.gz or .parquet file"
                ) from error
            if isinstance(row, dict):
                yield row


def _parquet_rows(file: Path, column: str) -> Iterator[dict[str, Any]]:
    try:
        parquet = importlib.import_module("pyarrow.parquet")  # no dependency of finetrace
    except ImportError as error:
        raise FinetraceError("parquet files need the package pyarrow", "pip install pyarrow") from error
    try:
        yield from parquet.read_table(file, columns=[column]).to_pylist()
    except (OSError, ValueError, KeyError) as error:
        raise FinetraceError(
            f"cannot read the column {column!r} of {file.name}: {error}", "check the column"
        ) from error
