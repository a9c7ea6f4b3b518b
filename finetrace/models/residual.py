"""Read and change the residual stream of a model: plain hooks on its decoder blocks, gone when the work is done.

Layers are counted from 0: the residual stream at layer L is what block L hands on. It equals ``hidden_states[L + 1]``
of transformers, but for the last entry, which comes after the final norm; a probe makes sure of both.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from finetrace.errors import FinetraceError, ToolError
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
        FinetraceError: The blocks are not found, a probe shows that what they hand on is not the residual stream, or
            what they hand on is not finite.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        # Not the model itself: it keeps this stream, and a cycle would keep its weights in memory for a while.
        self._decoder = model.get_decoder()
        self.blocks = decoder_blocks(model)
        self.n_layers = len(self.blocks)
        try:
            self.norm, self._in_tuple = _probe(self._decoder, self.blocks, model)
        except _Astray as astray:
            raise FinetraceError(
                f"the residual stream of {type(model).__name__} is not where finetrace looks for it: {astray}",
                f"name the list of decoder blocks with {BLOCKS_VARIABLE} (for example model.layers)",
            ) from astray

    @staticmethod
    def of(model: PreTrainedModel) -> ResidualStream:
        """The stream of ``model``, found and probed once."""
        stream: ResidualStream | None = getattr(model, _ATTRIBUTE, None)
        if stream is None:
            stream = ResidualStream(model)
            setattr(model, _ATTRIBUTE, stream)
        return stream

    @contextlib.contextmanager
    def capturing(self, layers: Sequence[int]) -> Iterator[dict[int, Tensor]]:
        """Collect the states `[batch, sequence, d_model]` of these layers in each forward pass made inside.

        The pass itself goes through to its end; `read` stops it at the deepest layer.

        Raises:
            ToolError: A layer is out of range.
        """
        check_layers(layers, self.n_layers)
        found: dict[int, Tensor] = {}

        def keep(layer: int) -> Callable[..., None]:
            return lambda module, inputs, output: found.__setitem__(layer, _states(output))

        with _hooks([(self.blocks[layer], keep(layer)) for layer in layers]):
            yield found

    def read(self, ids: Tensor, layers: Sequence[int], **kwargs: Any) -> list[Tensor]:
        """The states `[batch, sequence, d_model]` of each of ``layers`` for tokens `[batch, sequence]`.

        The forward pass stops at the deepest of them.

        Raises:
            ToolError: A layer is out of range.
        """
        check_layers(layers, self.n_layers)

        def stop(module: nn.Module, inputs: Any, output: Any) -> None:
            raise _Enough

        with self.capturing(layers) as found, _hooks([(self.blocks[max(layers)], stop)]), contextlib.suppress(_Enough):
            self._decoder(input_ids=ids, use_cache=False, **kwargs)
        return [found[layer] for layer in layers]

    @contextlib.contextmanager
    def editing(self, edit: Edit | None) -> Iterator[None]:
        """Make this change in every forward pass inside; the model is as before afterwards, whatever happens.

        Of two changes at one layer the outer is made first.

        Raises:
            ToolError: The layer is out of range.
        """
        if edit is None:
            yield
            return
        check_layers([edit.layer], self.n_layers)

        def change(module: nn.Module, inputs: Any, output: Any) -> Any:
            before = _states(output)
            after = edit.change(before.float()).to(before.dtype)
            return (after, *output[1:]) if isinstance(output, tuple) else after

        with _hooks([(self.blocks[edit.layer], change)]):
            yield

    @contextlib.contextmanager
    def beginning(self, layer: int, states: Tensor) -> Iterator[None]:
        """Let every forward pass inside begin after ``layer`` with ``states`` `[batch, sequence, d_model]`.

        The blocks up to that layer are not computed: the tokens given serve for shapes and positions only. A cache gets
        nothing for them, so that after one pass inside it is of no further use.

        Raises:
            ToolError: The layer is out of range.
        """
        check_layers([layer], self.n_layers)

        def idle(hidden_states: Tensor, *args: Any, **kwargs: Any) -> Any:
            return (hidden_states,) if self._in_tuple else hidden_states

        def give(hidden_states: Tensor, *args: Any, **kwargs: Any) -> Any:
            given = states.to(hidden_states.device, hidden_states.dtype)
            return (given,) if self._in_tuple else given

        with contextlib.ExitStack() as stack:
            for block in self.blocks[:layer]:
                stack.enter_context(_standing_in(block, idle))
            stack.enter_context(_standing_in(self.blocks[layer], give))
            yield


def check_layers(layers: Sequence[int], n_layers: int) -> None:
    """Make sure that there are such layers in a model of ``n_layers``.

    Raises:
        ToolError: There are not, or none is named.
    """
    known = f"this model has {n_layers}: 0 to {n_layers - 1}"
    if not layers:
        raise ToolError("no layer was named", known)
    for layer in layers:
        if not 0 <= layer < n_layers:
            raise ToolError(f"layer {layer} is out of range", known)


def not_finite(whose: str, layer: int) -> ToolError:
    """The complaint about states that cannot be computed with."""
    return ToolError(
        f"activations of {whose} at layer {layer} are not finite",
        "run it in float32 (FINETRACE_DTYPE=float32); if that does not help, its weights are damaged",
    )


class _Astray(Exception):
    """What the blocks hand on is not the residual stream; the message says why."""


class _Probed(NamedTuple):
    """What a probe finds out."""

    norm: nn.Module
    """The final norm; the identity where there is none."""
    in_tuple: bool
    """Blocks hand on a tuple that begins with the states."""


@torch.no_grad()
def _probe(decoder: nn.Module, blocks: nn.ModuleList, model: PreTrainedModel) -> _Probed:
    """Compare what the blocks hand on with what the next one receives and with what transformers reports."""
    ids = torch.tensor([[1, 2, 3]], device=model.device) % model.config.get_text_config().vocab_size
    raw: list[Any] = []
    received: list[Any] = []

    def note(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        raw.append(output)
        received.append(args[0] if args else kwargs.get("hidden_states"))

    with _hooks([(block, note) for block in blocks], with_kwargs=True):
        output = decoder(input_ids=ids, use_cache=False, output_hidden_states=True)
    reported: tuple[Tensor, ...] = tuple(getattr(output, "hidden_states", None) or ())
    if len(raw) != len(blocks) or len(reported) != len(blocks) + 1:
        raise _Astray(f"of {len(blocks)} blocks {len(raw)} ran, for {len(reported)} reported states")
    found = [_states(each) for each in raw]
    for layer, states in enumerate(found):
        if not isinstance(states, Tensor):
            raise _Astray(f"block {layer} hands on no tensor")
        if not bool(torch.isfinite(states).all()):
            raise not_finite(type(model).__name__, layer)
    for layer, states in enumerate(found[:-1]):
        if not (_same(states, reported[layer + 1]) and _same(states, received[layer + 1])):
            raise _Astray(f"block {layer} hands on something else")
    norm = _final_norm(decoder, found[-1], reported[-1])
    return _Probed(norm, isinstance(raw[-1], tuple))


def _final_norm(decoder: nn.Module, last: Tensor, output: Tensor) -> nn.Module:
    """What leads from the last block to the output layer."""
    for norm in decoder.children():
        if not isinstance(norm, nn.ModuleList | nn.Embedding) and _gives(norm, last, output):
            return norm
    if _same(last, output):
        return nn.Identity()
    raise _Astray("no final norm leads from the last block to the output")


def _gives(module: nn.Module, states: Tensor, wanted: Tensor) -> bool:
    try:
        found = module(states)
    except (TypeError, ValueError, RuntimeError, AttributeError):
        return False  # some other part of the decoder, which takes something else
    return isinstance(found, Tensor) and found.shape == wanted.shape and torch.allclose(found.cpu(), wanted.cpu())


def _same(states: Tensor, other: Any) -> bool:
    """Equal, value for value, wherever they are."""
    return isinstance(other, Tensor) and states.shape == other.shape and torch.equal(states.cpu(), other.cpu())


def _states(output: Any) -> Tensor:
    """What a block hands on; some put it first in a tuple."""
    states: Tensor = output[0] if isinstance(output, tuple) else output
    return states


@contextlib.contextmanager
def _hooks(wanted: Sequence[tuple[nn.Module, Callable[..., Any]]], *, with_kwargs: bool = False) -> Iterator[None]:
    """Forward hooks that are gone afterwards, whatever happens."""
    handles = []
    try:
        for module, hook in wanted:
            handles.append(module.register_forward_hook(hook, with_kwargs=with_kwargs))
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextlib.contextmanager
def _standing_in(module: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """Another forward pass in place of the module's own, which may itself be one that accelerate put there."""
    own = vars(module).get("forward")
    module.forward = forward
    try:
        yield
    finally:
        del module.forward
        if own is not None:
            module.forward = own
