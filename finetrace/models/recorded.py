"""Completions that were generated and scored elsewhere, as a pair that can only be read."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from finetrace.errors import FinetraceError, ToolError
from finetrace.models.interior import Interior
from finetrace.models.pair import Capability, Completion, Decoding, Progress, Prompt, Score, Side, Tokenizer
from finetrace.schema import Framing, ScoredCompletion

MAX_LINE_BYTES = 1 << 20
"""A longer line is not a completion."""
_FORMAT = '{"prefill": …, "completion": …, "ppl_reference": …, "ppl_finetuned": …} on each line'


class RecordedLine(BaseModel):
    """One line of a recorded file; other keys are kept."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False, strict=True)

    prefill: str
    """What the finetuned model was given."""
    completion: str
    """What it wrote."""
    ppl_reference: float = Field(gt=0)
    """Perplexity of the completion under the reference."""
    ppl_finetuned: float = Field(gt=0)
    """Perplexity of the completion under the finetuned model."""

    def scored(self) -> ScoredCompletion:
        """The line in the form the instruments read."""
        reference, finetuned = math.log(self.ppl_reference), math.log(self.ppl_finetuned)
        return ScoredCompletion(
            prefill=_mended(self.prefill),
            completion=_mended(self.completion),
            framing=Framing.RECORDED,
            corpus="recorded",
            logp_finetuned=-finetuned,
            logp_reference=-reference,
            log_ratio=reference - finetuned,
            raw_difference=self.ppl_reference - self.ppl_finetuned,
            extra={_mended(key): _plain(value) for key, value in (self.model_extra or {}).items()},
        )


def _plain(value: Any) -> str | int | float | bool | None:
    """A value that JSON can write and read back: what is nested or not finite becomes text."""
    if isinstance(value, str):
        return _mended(value)
    if value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return json.dumps(value)


def _mended(text: str) -> str:
    """Halves of characters, as a generation that was cut within an emoji has them, become replacement characters."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def read_recorded(path: Path) -> list[ScoredCompletion]:
    """Read a recorded file whole.

    Raises:
        FinetraceError: The file is missing, empty, not UTF-8, or a line of it is not in the form; the line is named.
    """
    completions: list[ScoredCompletion] = []
    try:
        with path.open("rb") as file:
            number = 0
            while raw := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                if len(raw) > MAX_LINE_BYTES:
                    raise FinetraceError(
                        f"{path}, line {number}: longer than {MAX_LINE_BYTES:,} bytes",
                        "one completion a line",
                    )
                if raw.strip():
                    completions.append(_line(path, number, raw))
    except OSError as error:
        raise FinetraceError(f"cannot read {path}: {error.strerror or error}", f"name a file with {_FORMAT}") from error
    if not completions:
        raise FinetraceError(f"{path} is empty", f"it needs {_FORMAT}")
    return completions


def _line(path: Path, number: int, raw: bytes) -> ScoredCompletion:
    place = f"{path}, line {number}"
    try:
        value = json.loads(raw.decode("utf-8-sig"))
        if not isinstance(value, dict):
            raise FinetraceError(f"{place}: not a JSON object", f"it needs {_FORMAT}")
        return RecordedLine.model_validate(value).scored()
    except UnicodeDecodeError as error:
        raise FinetraceError(f"{place}: not UTF-8", "save the file as UTF-8") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise FinetraceError(f"{place}: {first['loc'][0]}: {first['msg'].lower()}", f"it needs {_FORMAT}") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits is a plain ValueError
        raise FinetraceError(f"{place}: not JSON ({error})"[:300], f"it needs {_FORMAT}") from error


class RecordedPair:
    """What is left of a pair once only its scored completions are at hand."""

    capabilities = frozenset({Capability.COMPLETIONS})
    shared_tokenizer = False

    def __init__(self, completions: Sequence[ScoredCompletion]) -> None:
        self.recorded: Sequence[ScoredCompletion] = tuple(completions)
        digest = hashlib.sha256()
        for completion in self.recorded:
            digest.update(completion.model_dump_json().encode())
        self.fingerprint = digest.hexdigest()

    @property
    def identical(self) -> bool:
        """Every recorded completion has the same perplexity under both models."""
        return all(completion.log_ratio == 0.0 for completion in self.recorded)

    @property
    def reference_fingerprint(self) -> str:
        """There is no reference to sample from; the file stands for it."""
        return self.fingerprint

    @property
    def tokenizer(self) -> Tokenizer:
        """There is none."""
        raise _absent("a tokenizer")

    @property
    def interior(self) -> Interior:
        """There is none."""
        raise _absent("activations")

    def generate(
        self, side: Side, prompts: Sequence[Prompt], decoding: Decoding, progress: Progress | None = None
    ) -> list[Completion]:
        """There is no model."""
        raise _absent("new text")

    def score(
        self,
        side: Side,
        prompts: Sequence[Prompt],
        completions: Sequence[Completion],
        progress: Progress | None = None,
    ) -> list[Score]:
        """There is no model."""
        raise _absent("scores of new text")


def _absent(what: str) -> ToolError:
    return ToolError(f"a recorded pair has no models and cannot give {what}", "read what was recorded instead")
