"""The database of runs: what was asked, every step that was taken, and the answer."""

from finetrace.store.database import Store, new_run_id

__all__ = ["Store", "new_run_id"]
