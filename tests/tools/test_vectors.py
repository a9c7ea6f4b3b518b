from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from finetrace.tools.vectors import Vectors


@pytest.mark.parametrize("shape", [(3, 2, 5), (1,), (0, 4)])
def test_a_tensor_comes_back_value_for_value(shape: tuple[int, ...]) -> None:
    tensor = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 1e-20
    again = Vectors.model_validate_json(Vectors.of(tensor).model_dump_json())
    assert again == Vectors.of(tensor) and again.shape == shape
    assert torch.equal(again.tensor, tensor) and again.tensor.dtype == torch.float32


def test_other_number_formats_and_views_are_kept_as_float32() -> None:
    tensor = torch.arange(6, dtype=torch.bfloat16).view(2, 3).T
    assert torch.equal(Vectors.of(tensor).tensor, tensor.float())


def test_what_is_handed_out_does_not_change_what_is_kept() -> None:
    vectors = Vectors.of(torch.zeros(2))
    vectors.tensor.add_(1)
    assert Vectors.model_validate_json(vectors.model_dump_json()).tensor.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("shape", "data"), [((2,), "AAAA"), ((1,), "not base64"), ((3,), Vectors.of(torch.zeros(2)).data)]
)
def test_data_that_do_not_fill_the_shape_are_refused(shape: tuple[int, ...], data: str) -> None:
    with pytest.raises(ValidationError):
        Vectors(shape=shape, data=data)
