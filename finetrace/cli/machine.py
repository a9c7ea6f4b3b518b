"""What this machine offers, found without changing anything on it."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from finetrace.errors import FinetraceError

if TYPE_CHECKING:
    from finetrace.settings import Settings

PROVIDER_KEYS = (
    "ANTHROPIC_API_KEY",
    "AZURE_API_KEY",
    "DEEPSEEK_API_KEY",
    "GEMINI_API_KEY",
    "GROQ_API_KEY",
    "HF_TOKEN",
    "MISTRAL_API_KEY",
    "OPENAI_API_KEY",
    "OPENROUTER_API_KEY",
    "TOGETHERAI_API_KEY",
    "XAI_API_KEY",
)
"""Variables that are always reported; others are where they end in ``_API_KEY``."""


class Problem(NamedTuple):
    """Something that is not as it should be."""

    what: str
    hint: str
    fatal: bool
    """Whether bundled organisms cannot be investigated before it is put right."""


class Finding(NamedTuple):
    """What was found under one heading, as it stands in the JSON object."""

    facts: dict[str, Any]
    problems: tuple[Problem, ...] = ()


def examine(organisms: Path | None) -> dict[str, Finding]:
    """Look at everything a run depends on.

    Args:
        organisms: The organisms file; ``None`` for the one in force.

    Raises:
        FinetraceError: A ``FINETRACE_*`` variable holds something that is not allowed.
    """
    from finetrace.settings import get_settings

    settings = get_settings()
    looks: dict[str, Callable[[], Finding]] = {
        "python": _python,
        "machine": _machine,
        "compute": lambda: _compute(settings),
        "base": _base,
        "keys": lambda: Finding(provider_keys()),
        "data_dir": lambda: _folder(settings.data_dir, "data folder"),
        "cache_dir": lambda: _folder(settings.cache_dir, "cache folder"),
        "database": _database,
        "organisms": lambda: _organisms(organisms),
    }
    return {heading: look() for heading, look in looks.items()}


def provider_keys() -> dict[str, bool]:
    """Names of variables that hold keys of providers and whether each is set; never a value."""
    others = {name for name in os.environ if name.endswith("_API_KEY")}
    return {name: bool(os.environ.get(name)) for name in sorted({*PROVIDER_KEYS, *others})}


def _python() -> Finding:
    return Finding({"version": platform.python_version(), "executable": sys.executable})


def _machine() -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    facts = {"platform": platform.platform(), "cores": cores, "memory_gib": _memory_gib()}
    return Finding(facts)


def _memory_gib() -> float | None:
    """Memory this process may use, in GiB: the machine's, or a container's smaller share."""
    if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", {}):
        return None
    bytes_there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.is_file() and (given := limit.read_text().strip()).isdigit():
        bytes_there = min(bytes_there, int(given))
    return round(bytes_there / 2**30, 1)


def _compute(settings: Settings) -> Finding:
    try:
        import torch

        from finetrace.models.device import choose_device, choose_dtype
    except ImportError as missing:
        problem = Problem(f"torch cannot be imported: {missing}", "run `make setup`", fatal=True)
        return Finding({"torch": None, "device": None, "dtype": None}, (problem,))
    version = str(torch.__version__)
    try:
        device = choose_device(settings.device)
    except FinetraceError as fault:
        problem = Problem(fault.message, fault.hint, fatal=True)
        return Finding({"torch": version, "device": None, "dtype": None}, (problem,))
    dtype = str(choose_dtype(settings.dtype, device)).removeprefix("torch.")
    facts: dict[str, Any] = {"torch": version, "device": device, "dtype": dtype, "threads": torch.get_num_threads()}
    if device == "cuda":
        facts["gpu"] = torch.cuda.get_device_name()
    return Finding(facts)


def _base() -> Finding:
    """The embedded base: the wheel's file, whether it is whole, and its converted copy."""
    from finetrace.models import embedded

    converted = embedded.converted_path()
    facts: dict[str, Any] = {
        "name": embedded.EMBEDDED_NAME,
        "gguf": None,
        "sha256_ok": None,
        "converted": (converted / "config.json").is_file(),
        "path": str(converted),
    }
    try:
        gguf = embedded.gguf_path()
        facts["gguf"] = str(gguf)
        facts["sha256_ok"] = False
        embedded.check_gguf(gguf)
        facts["sha256_ok"] = True
    except FinetraceError as fault:
        return Finding(facts, (Problem(fault.message, fault.hint, fatal=not facts["converted"]),))
    return Finding(facts)


def _folder(folder: Path, purpose: str) -> Finding:
    """Whether files could be written there; nothing is left behind."""
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as fault:
        from finetrace.settings import unwritable

        complaint = unwritable(folder, purpose, fault)
        problem = Problem(complaint.message, complaint.hint, fatal=True)
        return Finding({"path": str(folder), "writable": False}, (problem,))
    return Finding({"path": str(folder), "writable": True})


def _database() -> Finding:
    from finetrace.store import Store

    address = None
    try:
        with Store() as store:
            address = store.address
            version = store.version()
            runs = len(store.run_ids())
    except FinetraceError as fault:
        problem = Problem(fault.message, fault.hint, fatal=True)
        return Finding({"address": address, "state": "unusable", "runs": None}, (problem,))
    return Finding({"address": address, "state": "ready" if version else "not made yet", "runs": runs})


def _organisms(path: Path | None) -> Finding:
    from finetrace.registry import load_registry

    try:
        registry = load_registry(path)
    except FinetraceError as fault:
        problem = Problem(fault.message, fault.hint, fatal=False)
        return Finding({"path": None if path is None else str(path), "number": None}, (problem,))
    problems = []
    for organism in registry.organisms:
        try:
            registry.locate(organism)
        except FinetraceError as fault:
            problems.append(Problem(fault.message, fault.hint, fatal=False))
    return Finding({"path": str(registry.path), "number": len(registry.organisms)}, tuple(problems))
