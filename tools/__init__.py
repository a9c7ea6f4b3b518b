"""Instruments and what they read with; import each from its own module."""

__all__: list[str] = []
