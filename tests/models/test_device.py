from __future__ import annotations

import pytest
import torch

from finetrace.errors import FinetraceError
from finetrace.models import device
from finetrace.models.device import choose_device, choose_dtype


@pytest.mark.parametrize(
    ("setting", "there", "expected"),
    [("auto", True, "cuda"), ("auto", False, "cpu"), ("cpu", True, "cpu"), ("cuda", True, "cuda")],
)
def test_the_device_is_what_is_there_unless_named(
    setting: device.DeviceSetting, there: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: there)
    assert choose_device(setting) == expected


def test_cuda_on_a_machine_without_it_is_an_error_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(FinetraceError, match="no CUDA device") as caught:
        choose_device("cuda")
    assert "FINETRACE_DEVICE" in caught.value.hint


@pytest.mark.parametrize(
    ("setting", "where", "native", "expected"),
    [
        ("auto", "cuda", False, torch.bfloat16),
        ("auto", "cpu", True, torch.bfloat16),
        ("auto", "cpu", False, torch.float32),
        ("float32", "cuda", True, torch.float32),
        ("bfloat16", "cpu", False, torch.bfloat16),
    ],
)
def test_the_number_format_is_the_fast_one_unless_named(
    setting: device.DtypeSetting,
    where: str,
    native: bool,
    expected: torch.dtype,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(device, "has_native_bfloat16", lambda: native)
    assert choose_dtype(setting, where) is expected
