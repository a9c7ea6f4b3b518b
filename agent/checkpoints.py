"""What LangGraph keeps of a run beside the store, and how it is let go of."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from finetrace.errors import WorkError

_TABLES = ("checkpoints", "writes")
"""LangGraph's, each with a ``thread_id`` that is the run's id."""


def forget(run_id: str, path: Path) -> None:
    """Delete the checkpoints of a run, if there are any.

    Raises:
        WorkError: The file cannot be written.
    """
    if not path.is_file():
        return
    try:
        connection = sqlite3.connect(path, timeout=30)
        try:
            with connection:
                present = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
                for table in _TABLES:
                    if table in present:
                        connection.execute(f"DELETE FROM {table} WHERE thread_id = ?", (run_id,))
        finally:
            connection.close()
    except sqlite3.Error as fault:
        raise WorkError(f"the checkpoints of {run_id} in {path} stay: {fault}", "try again") from fault
