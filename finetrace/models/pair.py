"""The pair an investigation looks at: an organism and, where there is one, its reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

from finetrace.errors import ToolError
from finetrace.schema import Framing, ScoredCompletion

if TYPE_CHECKING:
    from finetrace.models.interior import Interior

Progress = Callable[[int, int], None]
"""Called with what is done and what there is in all, in units that only their ratio gives a meaning."""


class Side(StrEnum):
    """One of the two models of a pair."""

    ORGANISM = "organism"
    REFERENCE = "reference"


class Capability(StrEnum):
    """What a pair can do; an instrument names those it needs."""

    GENERATE = "generate"
    """The organism writes text."""
    CHAT = "chat"
    """The organism has a chat template."""
    REFERENCE = "reference"
    """There is a reference model that writes text, too."""
    LOGPROBS = "logprobs"
    """Log-probabilities of both models."""
    ACTIVATIONS = "activations"
    """The residual stream of both models."""
    ADAPTER = "adapter"
    """The organism is an adapter on the reference."""
    COMPLETIONS = "completions"
    """Completions that were scored elsewhere."""


class Message(NamedTuple):
    """One turn of a chat."""

    role: str
    """``system``, ``user`` or ``assistant``."""
    content: str


@dataclass(frozen=True)
class Prompt:
    """What a model is given: a text to continue, or a chat whose next answer may be begun for it."""

    text: str = ""
    """Raw text, or the beginning of the assistant's answer."""
    messages: tuple[Message, ...] | None = None
    """The chat so far; ``None`` for raw text."""
    text_ids: tuple[int, ...] | None = None
    """``text`` as the organism's own tokens, where it was cut from a longer text; never re-tokenised then."""

    @property
    def framing(self) -> Framing:
        """Raw or chat."""
        return Framing.RAW if self.messages is None else Framing.CHAT


@dataclass(frozen=True)
class Decoding:
    """How to decode."""

    max_new_tokens: int = 64
    """Upper bound of the completion, tokens."""
    temperature: float = 0.0
    """0 takes the most likely token."""
    seed: int = 0
    """Determines every draw."""


class Completion(NamedTuple):
    """What a model wrote after a prompt."""

    text: str
    token_ids: tuple[int, ...]
    """Tokens as they were generated: never re-tokenised for scoring."""
    logps: tuple[float, ...]
    """Log-probability of each token under the model that wrote it, nats."""
    ended: bool
    """The model stopped by itself."""


class Score(NamedTuple):
    """How likely a model finds a completion."""

    total: float
    """Sum of the log-probabilities, nats."""
    n_tokens: int
    """Tokens scored, in the scoring model's tokenizer."""
    logps: tuple[float, ...] = ()
    """The same token by token; empty where the pair does not say."""


class Tokenizer(Protocol):
    """What instruments need of a tokenizer; those of transformers fit."""

    @property
    def all_special_ids(self) -> Sequence[int]:
        """Ids of tokens that stand for no text."""

    def __call__(self, text: list[str], *, add_special_tokens: bool) -> Mapping[str, Sequence[Sequence[int]]]:
        """Token ids of each text under the key ``input_ids``."""

    def decode(self, token_ids: Sequence[int], *, clean_up_tokenization_spaces: bool) -> str:
        """The text of these tokens."""


class ModelPair(Protocol):
    """What instruments need of two models, wherever those are."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What this pair can do."""

    @property
    def fingerprint(self) -> str:
        """Digest of all that determines its answers: weights, tokenizer, reference, number format."""

    @property
    def identical(self) -> bool:
        """Both sides hold the same weights, value for value."""

    @property
    def shared_tokenizer(self) -> bool:
        """Both sides read text as the same tokens."""

    @property
    def recorded(self) -> Sequence[ScoredCompletion]:
        """Completions scored elsewhere; empty unless the pair is recorded."""

    @property
    def reference_fingerprint(self) -> str:
        """Digest of the reference alone; what is sampled from it serves all its organisms."""

    @property
    def tokenizer(self) -> Tokenizer:
        """The organism's tokenizer.

        Raises:
            ToolError: The pair has none.
        """

    @property
    def interior(self) -> Interior:
        """The residual stream of both models.

        Raises:
            ToolError: The pair gives no activations, or it is not known where this architecture has them.
        """

    def generate(
        self, side: Side, prompts: Sequence[Prompt], decoding: Decoding, progress: Progress | None = None
    ) -> list[Completion]:
        """Complete each prompt.

        Raises:
            ToolError: The pair has no such side, or the side has no chat template.
        """

    def score(
        self,
        side: Side,
        prompts: Sequence[Prompt],
        completions: Sequence[Completion],
        progress: Progress | None = None,
    ) -> list[Score]:
        """Score the organism's completions under one side, teacher-forced.

        Raises:
            ToolError: The pair has no such side.
        """


def require(pair: ModelPair, needed: frozenset[Capability], what: str) -> None:
    """Check that ``pair`` can do all that ``what`` needs.

    Raises:
        ToolError: It cannot; the message names what is missing.
    """
    missing = sorted(needed - pair.capabilities)
    if missing:
        raise ToolError(
            f"{what} needs {', '.join(missing)}, which this pair does not offer",
            f"available here: {', '.join(sorted(pair.capabilities)) or 'nothing'}",
        )


class RestrictedPair:
    """A pair of which an arm may use a part only: what is not allowed is not there."""

    def __init__(self, pair: ModelPair, allowed: frozenset[Capability]) -> None:
        self._pair = pair
        self.capabilities = pair.capabilities & allowed
        self.fingerprint = pair.fingerprint
        self.shared_tokenizer = pair.shared_tokenizer
        self.recorded: Sequence[ScoredCompletion] = pair.recorded if Capability.COMPLETIONS in self.capabilities else ()

    @property
    def identical(self) -> bool:
        """Known only where both models' log-probabilities are."""
        return self._pair.identical if Capability.LOGPROBS in self.capabilities else False

    @property
    def reference_fingerprint(self) -> str:
        """See `ModelPair.reference_fingerprint`."""
        return self._pair.reference_fingerprint

    @property
    def tokenizer(self) -> Tokenizer:
        """See `ModelPair.tokenizer`."""
        return self._pair.tokenizer

    @property
    def interior(self) -> Interior:
        """See `ModelPair.interior`."""
        require(self, frozenset({Capability.ACTIVATIONS}), "the residual stream")
        return self._pair.interior

    def generate(
        self, side: Side, prompts: Sequence[Prompt], decoding: Decoding, progress: Progress | None = None
    ) -> list[Completion]:
        """See `ModelPair.generate`; log-probabilities are withheld where the arm has none."""
        needed = Capability.GENERATE if side is Side.ORGANISM else Capability.REFERENCE
        require(self, frozenset({needed}), f"text from the {side}")
        completions = self._pair.generate(side, prompts, decoding, progress)
        if Capability.LOGPROBS in self.capabilities:
            return completions
        return [completion._replace(logps=()) for completion in completions]

    def score(
        self,
        side: Side,
        prompts: Sequence[Prompt],
        completions: Sequence[Completion],
        progress: Progress | None = None,
    ) -> list[Score]:
        """See `ModelPair.score`."""
        require(self, frozenset({Capability.LOGPROBS}), "scoring")
        return self._pair.score(side, prompts, completions, progress)
