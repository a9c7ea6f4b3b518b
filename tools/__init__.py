"""Instruments: a pair of models in, typed readings out."""

from finetrace.tools.cache import ReadingCache
from finetrace.tools.grading import Grader
from finetrace.tools.instrument import Context, Instrument, available, parse_arguments, purpose, take, uses_grader
from finetrace.tools.reading import Reading
from finetrace.tools.registry import INSTRUMENTS, find_instrument

__all__ = [
    "INSTRUMENTS",
    "Context",
    "Grader",
    "Instrument",
    "Reading",
    "ReadingCache",
    "available",
    "find_instrument",
    "parse_arguments",
    "purpose",
    "take",
    "uses_grader",
]
