"""Runs as files for other programs: whole, as a table, as logs of Inspect."""

from finetrace.export.chosen import Chosen, choose
from finetrace.export.file import replacing
from finetrace.export.jsonl import read_jsonl, write_jsonl

__all__ = ["Chosen", "choose", "read_jsonl", "replacing", "write_jsonl"]
