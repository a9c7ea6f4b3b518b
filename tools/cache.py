"""Readings on disk, by a digest of everything that determines them: written atomically, never trusted when damaged."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from finetrace.errors import FinetraceError
from finetrace.settings import get_settings

Artefact = TypeVar("Artefact", bound=BaseModel)


class ReadingCache:
    """A folder of artefacts.

    Args:
        folder: Where they lie; default ``readings`` in the cache folder.
        enabled: ``False`` reads and writes nothing.
    """

    def __init__(self, folder: Path | None = None, *, enabled: bool = True) -> None:
        self.folder = folder or Path(get_settings().cache_dir) / "readings"
        self._enabled = enabled

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"

    def read(self, key: str, kind: type[Artefact]) -> Artefact | None:
        """The artefact of this key; ``None`` where there is none or it is damaged."""
        if not self._enabled:
            return None
        try:
            head, _, payload = self._path(key).read_bytes().partition(b"\n")
            if head.decode("ascii") != hashlib.sha256(payload).hexdigest():
                return None
            return kind.model_validate_json(payload)
        except (OSError, ValueError):
            return None

    def write(self, key: str, artefact: BaseModel) -> None:
        """Keep an artefact.

        Raises:
            FinetraceError: The folder cannot be written.
        """
        if not self._enabled:
            return
        payload = artefact.model_dump_json().encode()
        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload)
                os.replace(name, path)
            except BaseException:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name)
                raise
        except OSError as error:
            raise FinetraceError(
                f"cannot write to the cache {self.folder}: {error.strerror or error}",
                "free the disk or point FINETRACE_CACHE_DIR at a folder you may write to",
            ) from error
