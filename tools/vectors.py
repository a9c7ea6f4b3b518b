"""Float32 tensors inside typed artefacts: exact, compact, readable without pickle."""

from __future__ import annotations

import base64
import math
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, model_validator

if TYPE_CHECKING:
    from torch import Tensor


class Vectors(BaseModel):
    """A float32 tensor of any shape."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    shape: tuple[int, ...]
    """Its dimensions."""
    data: str
    """Its values in row-major order, little-endian float32, base64."""

    @model_validator(mode="after")
    def _whole(self) -> Vectors:
        if len(base64.b64decode(self.data, validate=True)) != 4 * math.prod(self.shape):
            raise ValueError("the data do not fill the shape")
        return self

    @classmethod
    def of(cls, tensor: Tensor) -> Vectors:
        """Keep a tensor."""
        values = np.ascontiguousarray(tensor.detach().cpu().float().numpy(), dtype="<f4")
        return cls(shape=tuple(values.shape), data=base64.b64encode(values.tobytes()).decode("ascii"))

    @cached_property
    def tensor(self) -> Tensor:
        """The tensor, float32 on the CPU."""
        import torch

        values = np.frombuffer(base64.b64decode(self.data), dtype="<f4").reshape(self.shape)
        return torch.from_numpy(values.copy())
