"""Asking the Hugging Face hub whether the models of a registry are still there and what they say they are."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from finetrace.errors import FinetraceError
from finetrace.models.embedded import EMBEDDED_NAME
from finetrace.schema import Organism

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import ModelInfo

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
_AT_ONCE = 8
"""Questions under way at a time: quick, and far below what the hub limits."""
_PATIENCE = 20.0
"""Seconds to wait for one answer."""


class HubState(StrEnum):
    """What the hub says of a model."""

    FOUND = "found"
    """It is there, and an adapter names the base that the registry names."""
    OTHER_BASE = "other_base"
    """It is there, but its config names another base than the registry."""
    GATED = "gated"
    """It is there; its files are for users who accepted its terms, and this one has not."""
    INCOMPLETE = "incomplete"
    """The repository is there, without the subfolder, the config or safetensors."""
    MISSING = "missing"
    """There is no such repository, or it is private."""
    UNKNOWN = "unknown"
    """The hub gave no answer."""


class HubFinding(NamedTuple):
    """What the hub says of one model."""

    name: str
    """Full name of the organism; the hub id for a base."""
    model: str
    """Hub id."""
    subfolder: str | None
    state: HubState
    remark: str
    """Why, in a few words."""

    @property
    def is_fault(self) -> bool:
        """Whether the registry should be corrected."""
        return self.state in {HubState.OTHER_BASE, HubState.INCOMPLETE, HubState.MISSING}


class _Model(NamedTuple):
    """One question."""

    name: str
    model: str
    subfolder: str | None
    reference: str | None


def check_hub(
    organisms: Sequence[Organism],
    progress: Callable[[int, int], None] | None = None,
    folder: Path | None = None,
    address: str | None = None,
) -> list[HubFinding]:
    """Ask for each organism whose model is a hub id, and once for each of their bases.

    Nothing but metadata and adapter configs is fetched, and nothing is kept.

    Args:
        organisms: Those asked about, in the order of the answer.
        progress: Told how many of how many are done.
        folder: Models that lie here are not looked for on the hub: the registry's own folder.
        address: Of the hub; default ``HF_ENDPOINT``, else huggingface.co.

    Raises:
        FinetraceError: The hub cannot be reached at all.
    """
    from huggingface_hub import HfApi

    models = _questions(organisms, folder)
    if not models:
        return []
    hub = _Hub(HfApi(endpoint=address))
    found = [hub.ask(models[0])]
    if found[0].state is HubState.UNKNOWN:
        raise FinetraceError(
            f"the hub cannot be asked: {found[0].remark}", "check the network, HF_ENDPOINT and HF_HUB_OFFLINE"
        )
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for finding in pool.map(hub.ask, models[1:]):
            found.append(finding)
            if progress is not None:
                progress(len(found), len(models))
    return found


def _questions(organisms: Sequence[Organism], folder: Path | None) -> list[_Model]:
    """What to ask: organisms first, then their bases, each once."""
    remote = [each for each in organisms if _is_hub_id(each.model, folder)]
    bases = dict.fromkeys(each.reference for each in remote if each.reference and _is_hub_id(each.reference, folder))
    asked = {each.model for each in remote if each.subfolder is None}
    return [
        *(_Model(each.name, each.model, each.subfolder, each.reference) for each in remote),
        *(_Model(base, base, None, None) for base in bases if base not in asked),
    ]


def _is_hub_id(model: str, folder: Path | None) -> bool:
    if model == EMBEDDED_NAME or not _HUB_ID.fullmatch(model):
        return False
    # "organisms/x" is a folder of this registry, there or missing, and not a repository of the owner "organisms".
    return not ((folder or Path()) / model.split("/")[0]).exists()


class _Hub:
    """The hub, asked once for each repository."""

    def __init__(self, api: HfApi) -> None:
        self._api = api
        self._known: dict[str, ModelInfo] = {}

    def ask(self, model: _Model) -> HubFinding:
        """What it says of one model."""
        import httpx
        from huggingface_hub.errors import (
            GatedRepoError,
            HfHubHTTPError,
            HFValidationError,
            OfflineModeIsEnabled,
            RepositoryNotFoundError,
        )

        try:
            return self._look(model)
        except GatedRepoError:
            return _finding(model, HubState.GATED, "its terms must be accepted on its page")
        except RepositoryNotFoundError:
            return _finding(model, HubState.MISSING, "no such repository, or a private one")
        except HFValidationError:
            return _finding(model, HubState.MISSING, "no valid hub id")
        except (HfHubHTTPError, OfflineModeIsEnabled, httpx.HTTPError, OSError, ValueError) as fault:
            lines = str(fault).strip().splitlines()
            return _finding(model, HubState.UNKNOWN, lines[0][:160] if lines else type(fault).__name__)

    def _look(self, model: _Model) -> HubFinding:
        """The same; what goes wrong is raised."""
        if model.model not in self._known:
            self._known[model.model] = self._api.model_info(model.model, timeout=_PATIENCE)
        info = self._known[model.model]
        inside = f"{model.subfolder}/" if model.subfolder else ""
        files = {
            file.rfilename.removeprefix(inside) for file in info.siblings or [] if file.rfilename.startswith(inside)
        }
        if not files:
            where = f"no subfolder {model.subfolder}" if inside else "an empty repository"
            return _finding(model, HubState.INCOMPLETE, where)
        if "adapter_config.json" in files:
            if "adapter_model.safetensors" not in files:
                return _finding(model, HubState.INCOMPLETE, "an adapter without adapter_model.safetensors")
            return _compared(model, self._base(model, f"{inside}adapter_config.json"))
        if "config.json" not in files:
            return _finding(model, HubState.INCOMPLETE, "neither adapter_config.json nor config.json")
        if not any(file.endswith(".safetensors") for file in files):
            return _finding(model, HubState.INCOMPLETE, "a model without safetensors")
        if info.gated:
            return _finding(model, HubState.GATED, "a full model whose terms must be accepted on its page")
        return _finding(model, HubState.FOUND, "a full model")

    def _base(self, model: _Model, config: str) -> str | None:
        """The base that an adapter's config names."""
        with tempfile.TemporaryDirectory() as folder:
            path = self._api.hf_hub_download(model.model, config, cache_dir=folder)
            content = json.loads(Path(path).read_text(encoding="utf-8"))
        named = content.get("base_model_name_or_path") if isinstance(content, dict) else None
        return named if isinstance(named, str) and named else None


def _compared(model: _Model, named: str | None) -> HubFinding:
    """An adapter, held against the base in the registry."""
    if named is None or model.reference is None:
        return _finding(model, HubState.FOUND, "an adapter that names no base" if named is None else "an adapter")
    if named.lower() == model.reference.lower():
        return _finding(model, HubState.FOUND, "an adapter on this base")
    if named.rpartition("/")[2].lower() == model.reference.rpartition("/")[2].lower():
        return _finding(model, HubState.FOUND, f"an adapter on a copy of this base, {named}")
    return _finding(model, HubState.OTHER_BASE, f"its config names {named}, the registry {model.reference}")


def _finding(model: _Model, state: HubState, remark: str) -> HubFinding:
    return HubFinding(model.name, model.model, model.subfolder, state, remark)
