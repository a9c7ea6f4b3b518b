"""Grades of an answer against the sealed truth: offline, or by language models; and which objective it means.

Import each part from its own module.
"""

__all__: list[str] = []
