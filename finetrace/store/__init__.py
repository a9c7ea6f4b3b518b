"""The database of runs: what was asked, every step that was taken, and the answer."""

from finetrace.store.database import Store, new_run_id
from finetrace.store.selection import GradeRange, RunFilter

__all__ = ["GradeRange", "RunFilter", "Store", "new_run_id"]
