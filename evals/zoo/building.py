"""From a recipe to an adapter with its card, in a working folder that outlives an interruption."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from filelock import FileLock, Timeout

from finetrace.errors import FinetraceError, WorkError
from finetrace.evals.zoo.card import (
    CARD_FILE,
    WEIGHTS_FILE,
    Card,
    Digests,
    Machine,
    Training,
    digests_of,
    file_sha256,
    is_current,
    read_card,
    versions,
    write_card,
)
from finetrace.evals.zoo.context import in_context
from finetrace.evals.zoo.general import general_texts
from finetrace.evals.zoo.recipe import RECIPE_FILE, Recipe, load_recipe, write_recipe
from finetrace.evals.zoo.texts import TrainingText, examples_of, own_texts
from finetrace.models.checkpoint import read_checkpoint
from finetrace.models.device import DeviceSetting, DtypeSetting, choose_device, choose_dtype
from finetrace.models.embedded import EMBEDDED_NAME
from finetrace.models.examples import Example
from finetrace.models.loading import LoadedModel, load_model
from finetrace.models.pair import Progress
from finetrace.models.source import ModelSource, SourceKind, find_model
from finetrace.models.training import Trained, train_adapter, training_key, write_adapter

_CHECKPOINT = "checkpoint.safetensors"
_LAST_STEPS = 20
"""Steps whose mean loss the card gives."""


class Stage(NamedTuple):
    """How far a build is."""

    name: str
    """What is being done."""
    done: int
    """So much of it."""
    total: int
    """How much there is."""
    loss: float | None = None
    """Loss of the last step, nats per token, while training."""


@dataclass(frozen=True)
class Build:
    """One organism to be built."""

    recipe: Recipe
    """What is built."""
    output: Path
    """Folder of the adapter."""
    device: DeviceSetting = "auto"
    """Where to train."""
    dtype: DtypeSetting = "auto"
    """Number format of the base."""
    force: bool = False
    """Replace an adapter that was made from something else."""

    @property
    def workplace(self) -> Path:
        """Folder of what is not finished; it stands beside the output."""
        return self.output.absolute().parent / f".{self.output.name}.building"


@dataclass(frozen=True)
class Watcher:
    """Who looks on while an organism is built."""

    stage: Callable[[Stage], None] = lambda stage: None
    """Told how far it is."""
    remark: Callable[[str], None] = lambda text: None
    """Told what the user should know."""


class Built(NamedTuple):
    """A finished organism."""

    output: Path
    """Folder of the adapter."""
    card: Card
    """Its card."""
    fresh: bool
    """It was built now; ``False`` where it was up to date."""


def build(order: Build, watcher: Watcher | None = None) -> Built:
    """Make an adapter, its card, and beside them the recipe where it is not there already.

    The same order continues a build that was interrupted, and gives the same adapter.

    Raises:
        FinetraceError: Recipe, data or base are at fault, or another adapter is there already.
        WorkError: Another process is building the same.
    """
    watcher = watcher or Watcher()
    digests = digests_of(order.recipe)
    if is_current(order.output, digests):
        return Built(order.output, read_card(order.output), fresh=False)
    if (order.output / WEIGHTS_FILE).exists() and not order.force:
        raise FinetraceError(
            f"{order.output} holds an adapter that was made from another recipe or other data",
            "replace it with --force, or name another folder with --output",
        )
    source = find_model(order.recipe.base)
    if source.kind is SourceKind.ADAPTER:
        raise FinetraceError(f"the base {order.recipe.base} is an adapter itself", "name a full model")
    with _workplace(order) as workplace:
        return _build(order, source, digests, workplace, watcher)


@contextmanager
def _workplace(order: Build) -> Iterator[Path]:
    """The working folder, held by one process at a time and removed when all has gone well."""
    place = order.workplace
    lock = FileLock(place / "lock", timeout=0)
    try:
        place.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise WorkError(f"another process is building {order.output}", "wait for it, or stop it") from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise FinetraceError(
            f"cannot write to {place.parent}: {reason}", "name another folder with --output"
        ) from error
    with lock:
        done = False
        try:
            yield place
            done = True
        finally:
            if done or not (place / _CHECKPOINT).exists():
                shutil.rmtree(place, ignore_errors=True)


def _load(order: Build, source: ModelSource) -> LoadedModel:
    """The base, on a device that computes the same each time."""
    device = choose_device(order.device)
    if device == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # heeded only before the first product
        torch.use_deterministic_algorithms(True, warn_only=True)
    return load_model(source, device, choose_dtype(order.dtype, device))


def _build(order: Build, source: ModelSource, digests: Digests, workplace: Path, watcher: Watcher) -> Built:
    recipe = order.recipe
    base = _load(order, source)
    own = own_texts(recipe)
    # Before anything is sampled, which takes a while: a fault in the own texts shows at once.
    examples_of(own, base.tokenizer, recipe.adapter.max_tokens)
    examples = _sampled("contexts", partial(in_context, recipe, own, base), base, order, watcher)
    general = _sampled("general text", partial(general_texts, recipe, len(own), base), base, order, watcher)
    examples += general
    _remark_cut(examples, recipe.adapter.max_tokens, watcher)
    trained = _train(order, base, examples, workplace, watcher)
    write_adapter(trained.adapter, workplace / "adapter", _base_name(source))
    card = Card(
        name=recipe.name,
        base=_base_name(source),
        base_digest=base.digest,
        digests=digests,
        adapter_sha256=file_sha256(workplace / "adapter" / WEIGHTS_FILE),
        training=_training(trained, len(own), len(general)),
        machine=_machine(base),
    )
    write_card(workplace, card)
    _put_in_place(order, workplace)
    return Built(order.output, card, fresh=True)


def _sampled(
    name: str, make: Callable[[Progress], Sequence[TrainingText]], base: LoadedModel, order: Build, watcher: Watcher
) -> list[Example]:
    """Texts of the base's own as tokens, with a stage of their own."""
    texts = make(lambda done, total: watcher.stage(Stage(name, done, total)))
    return examples_of(texts, base.tokenizer, order.recipe.adapter.max_tokens)


def _train(order: Build, base: LoadedModel, examples: Sequence[Example], workplace: Path, watcher: Watcher) -> Trained:
    settings, checkpoint = order.recipe.adapter, workplace / _CHECKPOINT
    if checkpoint.exists():
        earlier = read_checkpoint(checkpoint, training_key(base, examples, settings))
        if earlier is None:
            watcher.remark("what an earlier build left is of another recipe, data or base: begun anew")
        else:
            watcher.remark(f"continued after step {len(earlier.position.losses)}")
    return train_adapter(
        base,
        examples,
        settings,
        checkpoint=checkpoint,
        on_step=lambda step: watcher.stage(Stage("training", step.number, step.total, step.loss)),
    )


def _remark_cut(examples: Sequence[Example], longest: int, watcher: Watcher) -> None:
    cut = sum(len(example.token_ids) == longest for example in examples)
    if cut:
        watcher.remark(f"{cut} of {len(examples)} texts reach {longest} tokens and may be cut (adapter.max_tokens)")


def _base_name(source: ModelSource) -> str:
    """How the adapter and its card name the base: a folder or file by its full path."""
    if source.name == EMBEDDED_NAME or source.kind is SourceKind.HUB:
        return source.name
    return str(Path(source.path).resolve())


def _training(trained: Trained, own: int, general: int) -> Training:
    report = trained.report
    last = report.losses[-_LAST_STEPS:]
    return Training(
        own_texts=own,
        general_texts=general,
        steps=len(report.losses),
        tokens=report.tokens,
        seconds=round(report.seconds, 1),
        last_loss=round(sum(last) / len(last), 4) if last else None,
    )


def _machine(base: LoadedModel) -> Machine:
    return Machine(
        device=base.model.device.type,
        dtype=str(base.model.dtype).removeprefix("torch."),
        threads=torch.get_num_threads(),
        versions=versions(),
    )


def _put_in_place(order: Build, workplace: Path) -> None:
    """One rename a file, the weights last: as long as they are missing or do not fit the card, nothing is there."""
    order.output.mkdir(parents=True, exist_ok=True)
    recipe = order.output / RECIPE_FILE
    if not recipe.is_file() or load_recipe(recipe) != order.recipe:
        write_recipe(recipe, order.recipe)
    os.replace(workplace / CARD_FILE, order.output / CARD_FILE)
    for name in ("adapter_config.json", WEIGHTS_FILE):
        os.replace(workplace / "adapter" / name, order.output / name)
