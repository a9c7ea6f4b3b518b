"""One pair of models for several runs at once: whoever asks first is answered first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import wraps
from threading import RLock
from typing import Any, cast

from finetrace.models.interior import Interior
from finetrace.models.pair import Capability, Completion, Decoding, ModelPair, Progress, Prompt, Score, Side, Tokenizer
from finetrace.schema import ScoredCompletion


class SharedPair:
    """A pair that several threads may use: one call at a time, because models and tokenizers bear no more.

    Args:
        pair: The models.
    """

    def __init__(self, pair: ModelPair) -> None:
        self._pair = pair
        self._lock = RLock()
        self.capabilities: frozenset[Capability] = pair.capabilities
        self.fingerprint = pair.fingerprint
        self.shared_tokenizer = pair.shared_tokenizer
        self.recorded: Sequence[ScoredCompletion] = pair.recorded

    @property
    def identical(self) -> bool:
        """See `ModelPair.identical`."""
        with self._lock:
            return self._pair.identical

    @property
    def reference_fingerprint(self) -> str:
        """See `ModelPair.reference_fingerprint`."""
        with self._lock:
            return self._pair.reference_fingerprint

    @property
    def tokenizer(self) -> Tokenizer:
        """See `ModelPair.tokenizer`."""
        with self._lock:
            return cast(Tokenizer, _OneAtATime(self._pair.tokenizer, self._lock))

    @property
    def interior(self) -> Interior:
        """See `ModelPair.interior`."""
        with self._lock:
            return cast(Interior, _OneAtATime(self._pair.interior, self._lock))

    def generate(
        self, side: Side, prompts: Sequence[Prompt], decoding: Decoding, progress: Progress | None = None
    ) -> list[Completion]:
        """See `ModelPair.generate`."""
        with self._lock:
            return self._pair.generate(side, prompts, decoding, progress)

    def score(
        self,
        side: Side,
        prompts: Sequence[Prompt],
        completions: Sequence[Completion],
        progress: Progress | None = None,
    ) -> list[Score]:
        """See `ModelPair.score`."""
        with self._lock:
            return self._pair.score(side, prompts, completions, progress)


class _OneAtATime:
    """Something whose methods are called one at a time."""

    def __init__(self, within: object, lock: AbstractContextManager[Any]) -> None:
        self._within = within
        self._lock = lock

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._within, name)
        return self._locked(value) if callable(value) else value

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        with self._lock:
            return cast(Callable[..., Any], self._within)(*arguments, **options)

    def _locked(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def locked(*arguments: Any, **options: Any) -> Any:
            with self._lock:
                return method(*arguments, **options)

        return locked
