"""Read and change the residual stream of a model: plain hooks on its decoder blocks, gone when the work is done.

Layers are counted from 0: the residual stream at layer L is what block L hands on. It equals ``hidden_states[L + 1]``
of transformers, but for the last entry, which comes after the final norm; a probe makes sure of both.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from finetrace.errors import FinetraceError
from finetrace.models.blocks import BLOCKS_VARIABLE, decoder_blocks

_ATTRIBUTE = "_finetrace_residual"


@dataclass(frozen=True)
class Edit:
    """A change of the residual stream at one layer, made in every forward pass while it is in force."""

    layer: int
    change: Callable[[Tensor], Tensor]
    """Takes float32 states `[batch, sequence, d_model]` and gives new ones of that shape; the model's number format is
    restored afterwards."""


def adding(layer: int, vector: Tensor) -> Edit:
    """Add ``vector`` `[d_model]` at every token, prompt and completion alike."""
    return Edit(layer, lambda states: states + vector.to(states.device, torch.float32))


class _Enough(Exception):
    """The deepest layer asked for has been read."""


class ResidualStream:
    """The residual stream of one model.

    Raises:
        FinetraceError: The blocks are not found, or a probe shows that what they hand on is not the residual stream.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model
        self.blocks = decoder_blocks(model)
        self.n_layers = len(self.blocks)
        self._in_tuple = False
        self.norm = self._probe()

    @staticmethod
    def of(model: PreTrainedModel) -> ResidualStream:
        """The stream of ``model``, found and probed once."""
        stream: ResidualStream | None = getattr(model, _ATTRIBUTE, None)
        if stream is None:
            stream = ResidualStream(model)
            setattr(model, _ATTRIBUTE, stream)
        return stream

    def check_layer(self, layer: int) -> None:
        """Make sure that there is such a layer.

        Raises:
            FinetraceError: There is not.
        """
        if not 0 <= layer < self.n_layers:
            raise FinetraceError(
                f"layer {layer} is out of range", f"this model has {self.n_layers}: 0 to {self.n_layers - 1}"
            )

    @contextlib.contextmanager
    def capturing(self, layers: Sequence[int]) -> Iterator[dict[int, Tensor]]:
        """Collect the states `[batch, sequence, d_model]` of these layers in each forward pass made inside.

        The pass itself goes through to its end; `read` stops it at the deepest layer.
        """
        found: dict[int, Tensor] = {}

        def keep(layer: int) -> Callable[..., None]:
            return lambda module, inputs, output: found.__setitem__(layer, _states(output))

        with _hooks([(self.blocks[layer], keep(layer)) for layer in layers]):
            yield found

    def read(self, ids: Tensor, layers: Sequence[int], **kwargs: Any) -> list[Tensor]:
        """The states `[batch, sequence, d_model]` of each of ``layers`` for tokens `[batch, sequence]`.

        The forward pass stops at the deepest of them.

        Raises:
            FinetraceError: A layer is out of range.
        """
        for layer in layers:
            self.check_layer(layer)

        def stop(module: nn.Module, inputs: Any, output: Any) -> None:
            raise _Enough

        with self.capturing(layers) as found, _hooks([(self.blocks[max(layers)], stop)]), contextlib.suppress(_Enough):
            self._model.get_decoder()(input_ids=ids, use_cache=False, **kwargs)
        return [found[layer] for layer in layers]

    @contextlib.contextmanager
    def editing(self, edit: Edit | None) -> Iterator[None]:
        """Make this change in every forward pass inside; the model is as before afterwards, whatever happens.

        Raises:
            FinetraceError: The layer is out of range.
        """
        if edit is None:
            yield
            return
        self.check_layer(edit.layer)

        def change(module: nn.Module, inputs: Any, output: Any) -> Any:
            before = _states(output)
            after = edit.change(before.float()).to(before.dtype)
            return (after, *output[1:]) if isinstance(output, tuple) else after

        with _hooks([(self.blocks[edit.layer], change)]):
            yield

    @contextlib.contextmanager
    def beginning(self, layer: int, states: Tensor) -> Iterator[None]:
        """Let every forward pass inside begin after ``layer`` with ``states`` `[batch, sequence, d_model]`.

        The blocks up to that layer are not computed: the tokens given serve for shapes and positions only.
        """
        self.check_layer(layer)
        given = states.to(self._model.dtype)

        def hand_on(output: Tensor) -> Any:
            return (output,) if self._in_tuple else output

        def idle(hidden_states: Tensor, *args: Any, **kwargs: Any) -> Any:
            return hand_on(hidden_states)

        skipped = list(self.blocks[: layer + 1])
        for block in skipped[:-1]:
            block.forward = idle
        skipped[-1].forward = lambda hidden_states, *args, **kwargs: hand_on(given.to(hidden_states.device))
        try:
            yield
        finally:
            for block in skipped:
                del block.forward

    @torch.inference_mode()
    def _probe(self) -> nn.Module:
        """Compare the hooks with what transformers reports; returns the final norm."""
        model = self._model
        ids = torch.tensor([[1, 2, 3]], device=model.device) % model.config.get_text_config().vocab_size
        decoder = model.get_decoder()
        raw: list[Any] = []
        with _hooks([(block, lambda module, inputs, output: raw.append(output)) for block in self.blocks]):
            output = decoder(input_ids=ids, use_cache=False, output_hidden_states=True)
        reported: tuple[Tensor, ...] = tuple(output.hidden_states or ())
        if len(raw) != self.n_layers or len(reported) != self.n_layers + 1:
            raise self._unknown(f"{len(raw)} blocks ran for {len(reported)} reported states")
        self._in_tuple = isinstance(raw[-1], tuple)
        found = [_states(each) for each in raw]
        for layer, states in enumerate(found[:-1]):
            if states.shape != reported[layer + 1].shape or not torch.equal(states, reported[layer + 1]):
                raise self._unknown(f"block {layer} hands on something else")
        norm: nn.Module
        for norm in decoder.children():
            if not isinstance(norm, nn.ModuleList | nn.Embedding) and _gives(norm, found[-1], reported[-1]):
                return norm
        raise self._unknown("no final norm leads from the last block to the output")

    def _unknown(self, why: str) -> FinetraceError:
        return FinetraceError(
            f"the residual stream of {type(self._model).__name__} is not where finetrace looks for it: {why}",
            f"name the list of decoder blocks with {BLOCKS_VARIABLE} (for example model.layers)",
        )


def _states(output: Any) -> Tensor:
    """What a block hands on; some put it first in a tuple."""
    states: Tensor = output[0] if isinstance(output, tuple) else output
    return states


def _gives(module: nn.Module, states: Tensor, wanted: Tensor) -> bool:
    try:
        found = module(states)
    except (TypeError, ValueError, RuntimeError, AttributeError):
        return False
    return isinstance(found, Tensor) and found.shape == wanted.shape and torch.allclose(found, wanted)


@contextlib.contextmanager
def _hooks(wanted: Sequence[tuple[nn.Module, Callable[..., Any]]]) -> Iterator[None]:
    """Forward hooks that are gone afterwards, whatever happens."""
    handles = []
    try:
        for module, hook in wanted:
            handles.append(module.register_forward_hook(hook))
        yield
    finally:
        for handle in handles:
            handle.remove()
