"""Truths, training and grading of organisms, benchmarks and their statistics; import each part from its own module."""

__all__: list[str] = []
