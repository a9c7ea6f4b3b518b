"""Benchmarks: organisms × arms × seeds, each a run of its own, resumable whatever happens."""
