"""Which device and number format this machine is best used with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from finetrace.errors import FinetraceError

if TYPE_CHECKING:
    import torch

DeviceSetting = Literal["auto", "cpu", "cuda"]
DtypeSetting = Literal["auto", "float32", "bfloat16"]


def choose_device(setting: DeviceSetting = "auto") -> str:
    """``cuda`` where there is one, else ``cpu``.

    Raises:
        FinetraceError: CUDA was asked for and this machine has none.
    """
    import torch

    available = torch.cuda.is_available()
    if setting == "cuda" and not available:
        raise FinetraceError("no CUDA device on this machine", "unset FINETRACE_DEVICE, or set it to cpu")
    return "cuda" if available and setting != "cpu" else "cpu"


def has_native_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 in hardware (AVX512-BF16, AMX); without that it is slower than float32."""
    import torch

    flags = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(flags.get("avx512_bf16") or flags.get("amx_bf16") or flags.get("amx_tile"))


def choose_dtype(setting: DtypeSetting = "auto", device: str = "cpu") -> torch.dtype:
    """bfloat16 on CUDA and on CPUs that have it in hardware, else float32; or what the setting says."""
    import torch

    if setting != "auto":
        return torch.float32 if setting == "float32" else torch.bfloat16
    if device == "cuda":
        return torch.bfloat16
    return torch.bfloat16 if has_native_bfloat16() else torch.float32
