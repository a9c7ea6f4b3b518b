"""The decoder blocks of a model, whatever its architecture calls them."""

from __future__ import annotations

from typing import TypeGuard

from torch import nn
from transformers import PreTrainedModel

from finetrace.errors import FinetraceError, closest
from finetrace.settings import get_settings

BLOCKS_VARIABLE = "FINETRACE_BLOCKS"
"""Environment variable that names the list of blocks where it is not found."""


def decoder_blocks(model: PreTrainedModel) -> nn.ModuleList:
    """The list of decoder blocks, first to last.

    It is the list as long as the config says the model is deep; ``FINETRACE_BLOCKS`` names another, such as
    ``model.layers``, and that may be a sequence of modules as well.

    Raises:
        FinetraceError: There is no such list.
    """
    named = get_settings().blocks
    if named is not None:
        return _named_blocks(model, named)
    depth = getattr(model.config.get_text_config(), "num_hidden_layers", None)
    for module in model.get_decoder().modules():
        if isinstance(module, nn.ModuleList) and len(module) == depth:
            return module
    raise FinetraceError(
        f"no list of decoder blocks found in {type(model).__name__}",
        f"name it with {BLOCKS_VARIABLE}; lists in this model: {', '.join(_lists(model)) or 'none'}",
    )


def _named_blocks(model: PreTrainedModel, name: str) -> nn.ModuleList:
    found = dict(model.named_modules()).get(name)
    if _is_list(found):
        return found if isinstance(found, nn.ModuleList) else nn.ModuleList(found.children())
    raise FinetraceError(
        f"{BLOCKS_VARIABLE} names '{name}', which is no list of modules in {type(model).__name__}",
        closest(name, _lists(model)),
    )


def _is_list(module: nn.Module | None) -> TypeGuard[nn.ModuleList | nn.Sequential]:
    return isinstance(module, nn.ModuleList | nn.Sequential) and len(module) > 0


def _lists(model: PreTrainedModel) -> list[str]:
    return [name for name, module in model.named_modules() if _is_list(module)]
