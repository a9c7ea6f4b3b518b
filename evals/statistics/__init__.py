"""Figures from many grades: intervals, tests, an ordinal model, breakdowns, published numbers beside ours.

Import each part from its own module.
"""

__all__: list[str] = []
