"""Benchmarks: organisms × arms × seeds, each a run of its own, resumable whatever happens.

Import each part from its own module.
"""

__all__: list[str] = []
