"""Which number format and memory layout a device is quick with (``python -m benchmarks.training --layouts``)."""

from __future__ import annotations

import torch


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 by itself.

    Elsewhere it is worked out with float32, and slower than that. What decides is what the device is, not a stopwatch: the
    same machine must give the same result.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu" or not hasattr(torch.cpu, "get_capabilities"):
        return False
    found = torch.cpu.get_capabilities()
    return bool(found.get("avx512_bf16") or found.get("amx_bf16"))


def layout(device: torch.device) -> torch.memory_format:
    """Channels last on a GPU; on a CPU it gained nothing."""
    return torch.channels_last if device.type == "cuda" else torch.contiguous_format
