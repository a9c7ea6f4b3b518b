"""A report on disk."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from finetrace.errors import FinetraceError


def write_report(page: str, path: Path) -> int:
    """Write a page, whole or not at all; gives back its size in bytes.

    Raises:
        FinetraceError: The file cannot be written.
    """
    # Half a surrogate pair, which a model can emit, has no UTF-8; pages show it as an escape before it gets here.
    content = page.encode("utf-8", errors="replace")
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".writing-", suffix=".html")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.chmod(name, 0o666 & ~_umask())
            os.replace(name, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)
            raise
    except OSError as fault:
        raise FinetraceError(f"cannot write {path}: {fault.strerror or fault}", "name another file with -o") from fault
    return len(content)


def _umask() -> int:
    """What the user's files must not grant; a temporary file grants nothing to anyone else."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
