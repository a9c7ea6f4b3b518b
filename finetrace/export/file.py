"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from finetrace.errors import FinetraceError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file to write to, which takes the place of ``path`` at the end; a fault leaves everything as it was.

    Raises:
        FinetraceError: It cannot be written.
    """
    draft = path.with_name(f".{path.stem}-{os.getpid()}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield draft
        os.replace(draft, path)
    except OSError as fault:
        raise FinetraceError(f"cannot write {path}: {fault.strerror or fault}", "name another file") from fault
    finally:
        with suppress(OSError):  # where the folder cannot be, the draft is not
            draft.unlink(missing_ok=True)
