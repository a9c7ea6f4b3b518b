"""Truths and training of organisms; import each part from its own module."""

__all__: list[str] = []
