"""Open what a user wants investigated as a `ModelPair`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from finetrace.errors import FinetraceError
from finetrace.models.device import DeviceSetting, DtypeSetting, choose_device, choose_dtype

if TYPE_CHECKING:
    from finetrace.models.local import LocalPair
    from finetrace.models.pair import ModelPair
    from finetrace.models.source import ModelSource


class Target(BaseModel):
    """All that is needed to open a pair, now or when a run is resumed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str | None = None
    """``smollm2-135m``, a folder, a ``.gguf`` file, an adapter, or a hub id."""
    reference: str | None = None
    """The same; an adapter's base if not given."""
    recorded: str | None = None
    """A JSONL file of completions scored elsewhere, instead of models."""
    folder: str | None = None
    """Relative paths count from here; default the current folder."""
    device: DeviceSetting = "auto"
    """Where to run."""
    dtype: DtypeSetting = "auto"
    """Number format of the weights."""
    one_at_a_time: bool = False
    """Keep one of two checkpoints in memory at a time."""


def open_pair(target: Target) -> ModelPair:
    """Open the pair a target names.

    Raises:
        FinetraceError: Nothing sensible is named, or it cannot be loaded.
    """
    beside = Path(target.folder) if target.folder else None
    if target.recorded is not None:
        if target.model or target.reference:
            raise FinetraceError("a recorded file takes no --model or --reference", "give one or the other")
        from finetrace.models.recorded import RecordedPair, read_recorded

        return RecordedPair(read_recorded((beside or Path()) / Path(target.recorded).expanduser()))
    if not target.model:
        raise FinetraceError("no model named", "name an organism, or give --model or --recorded")
    from finetrace.models.source import SourceKind, find_model

    organism = find_model(target.model, beside)
    reference = find_model(target.reference, beside) if target.reference else None
    if reference is not None and reference.kind is SourceKind.ADAPTER:
        raise FinetraceError("the reference is an adapter", "name a full model as reference")
    if organism.kind is SourceKind.ADAPTER:
        return _open_adapter(target, organism, reference, beside)
    return _open_models(target, organism, reference)


def _open_adapter(
    target: Target, organism: ModelSource, reference: ModelSource | None, beside: Path | None
) -> LocalPair:
    from finetrace.models.loading import LoadedModel, adapter_digest, attach_adapter, load_model
    from finetrace.models.local import LocalPair
    from finetrace.models.source import SourceKind

    base = _adapter_base(organism, reference, beside)
    if base.kind is SourceKind.ADAPTER:
        raise FinetraceError(f"the base of {organism.name} is an adapter itself", "merge it into its base first")
    device = choose_device(target.device)
    dtype = choose_dtype(target.dtype, device)
    digest = adapter_digest(organism)
    if reference is None or _same_place(reference, base):
        loaded = load_model(base, device, dtype)
        return LocalPair(lambda: loaded, adapter=attach_adapter(loaded, organism), adapter_digest=digest)

    def load_organism() -> LoadedModel:
        fresh = load_model(base, device, dtype)
        attach_adapter(fresh, organism)
        return fresh

    return LocalPair(
        load_organism,
        lambda: load_model(reference, device, dtype),
        adapter_digest=digest,
        one_at_a_time=target.one_at_a_time,
    )


def _same_place(first: ModelSource, second: ModelSource) -> bool:
    return first.path == second.path or Path(first.path).resolve() == Path(second.path).resolve()


def _adapter_base(organism: ModelSource, reference: ModelSource | None, beside: Path | None) -> ModelSource:
    """The base an adapter's config names; the reference where the config names none or it cannot be had."""
    from finetrace.models.source import find_model

    if organism.base:
        try:
            return find_model(organism.base, beside)
        except FinetraceError as error:
            if reference is None:
                raise FinetraceError(
                    f"the base of {organism.name} is missing: {error.message}",
                    "name it with --reference",
                ) from error
    if reference is None:
        raise FinetraceError(f"{organism.name} does not name its base", "name it with --reference")
    return reference


def _open_models(target: Target, organism: ModelSource, reference: ModelSource | None) -> LocalPair:
    from finetrace.models.loading import load_model
    from finetrace.models.local import LocalPair

    device = choose_device(target.device)
    dtype = choose_dtype(target.dtype, device)
    return LocalPair(
        lambda: load_model(organism, device, dtype),
        (lambda: load_model(reference, device, dtype)) if reference else None,
        one_at_a_time=target.one_at_a_time,
    )
