"""What instruments need of the inside of two models: read the residual stream, change it, look at what follows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from finetrace.models.pair import Completion, Decoding, Progress, Prompt, Side

if TYPE_CHECKING:
    from torch import Tensor

    from finetrace.models.residual import Edit


class ResidualMeans(NamedTuple):
    """The mean residual stream over many texts, from running float32 sums."""

    mean: Tensor
    """`[layers, positions, d_model]`, float32."""
    halves: Tensor
    """The same over every other text, `[2, layers, positions, d_model]`: how far they part is the sampling error.

    Of one text alone the second half is zero."""
    norm: Tensor
    """Mean L2 norm of the single states, `[layers, positions]`, float32."""
    n_texts: int
    """How many texts there were."""


class Interior(Protocol):
    """The inside of a pair. Token ids are the organism's; layers are counted from 0, see `finetrace.models.residual`.

    All tensors handed out are float32 on the CPU.
    """

    @property
    def n_layers(self) -> int:
        """Blocks of each of the two models."""

    @property
    def d_model(self) -> int:
        """Width of the residual stream."""

    @property
    def front_ids(self) -> tuple[int, ...]:
        """Special tokens the organism's tokenizer puts before any text: the BOS token, or none."""

    @property
    def best_effort_texts(self) -> int:
        """How many short texts this machine reads in reasonable time: 2,000 on a CPU, 10,000 on a GPU."""

    def means(
        self, side: Side, rows: Sequence[Sequence[int]], layers: Sequence[int], progress: Progress | None = None
    ) -> ResidualMeans:
        """Mean residual stream at each position of ``rows`` (token ids, all of one length).

        The forward pass stops at the deepest layer; memory does not grow with the number of rows.

        Raises:
            ToolError: There are no rows, a layer is out of range, or a state is not finite.
        """

    def states(self, side: Side, ids: Tensor, layers: Sequence[int]) -> Tensor:
        """Residual stream of tokens `[batch, sequence]`: `[layers, batch, sequence, d_model]`, all kept.

        Raises:
            ToolError: A layer is out of range, or a state is not finite.
        """

    def lens(self, side: Side, states: Tensor, *, normed: bool) -> Tensor:
        """Log-probabilities `[n, vocabulary]` that the output layer gives to states `[n, d_model]`: the logit lens.

        Args:
            side: Whose output layer.
            states: What to read.
            normed: Through the final norm, which sets the size of the state and weighs its coordinates; else as it is.
        """

    def patched(self, side: Side, prompt: Sequence[int], layer: int, states: Tensor) -> Tensor:
        """Log-probabilities `[n, vocabulary]` of the next token after ``prompt`` with states put into it.

        Each of ``states`` `[n, d_model]` in turn takes the place of the residual stream at the prompt's last token,
        after ``layer``: Patchscopes, arXiv 2401.06102.

        Raises:
            ToolError: The layer is out of range, or the prompt has fewer than two tokens.
        """

    def next_logps(self, side: Side, ids: Tensor, edit: Edit | None = None) -> Tensor:
        """Log-probabilities `[batch, vocabulary]` of the token after each row of ``ids`` `[batch, sequence]`.

        Raises:
            ToolError: The layer of ``edit`` is out of range.
        """

    def next_logps_from(self, side: Side, ids: Tensor, layer: int, states: Tensor) -> Tensor:
        """The same where the residual stream after ``layer`` is replaced by ``states`` `[batch, sequence, d_model]`.

        The blocks up to that layer are not computed again.

        Raises:
            ToolError: The layer is out of range.
        """

    def token_logps(self, side: Side, ids: Tensor, edit: Edit | None = None) -> Tensor:
        """Log-probability of each token of ``ids`` `[batch, sequence]` but the first: `[batch, sequence - 1]`, nats.

        With ``edit`` it is one forward pass, so that a change may differ from row to row.

        Raises:
            ToolError: The layer of ``edit`` is out of range.
        """

    def logps_from(self, side: Side, ids: Tensor, layer: int, states: Tensor) -> Tensor:
        """The same where the residual stream after ``layer`` is replaced by ``states`` `[batch, sequence, d_model]`.

        The blocks up to that layer are not computed again.

        Raises:
            ToolError: The layer is out of range.
        """

    def generate(
        self,
        side: Side,
        prompts: Sequence[Prompt],
        decoding: Decoding,
        edit: Edit | None = None,
        progress: Progress | None = None,
    ) -> list[Completion]:
        """Complete each prompt with the change in force at every token, prompt and completion alike.

        Raises:
            ToolError: The layer of ``edit`` is out of range, or a chat is asked for and there is no chat template.
        """
