"""The device that a tool computes on, and what it is fast in."""

import re
from pathlib import Path

import torch

from ponderv2.errors import UserError


def usable_device(name: str | None) -> str:
    """Return a device by its name, which is tried; without a name the GPU where there is one, and else the CPU.

    Raises:
        UserError: torch does not know or cannot use it.
    """
    if name is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        # Read back, as not every device that torch knows can compute.
        torch.ones(1, device=name).add(1).item()
    except (AssertionError, NotImplementedError, RuntimeError) as error:
        there = f"cpu and {torch.cuda.device_count()} GPUs (cuda:0 …)" if torch.cuda.is_available() else "cpu alone"
        raise UserError(f"--device {name}: expected a device that torch can use here, which are {there}") from error
    return name


def computes_bfloat16(device: str) -> bool:
    """Tell whether a device has instructions for products of bfloat16.

    Of a CPU these are AVX512-BF16 or AMX, of an NVIDIA GPU those of compute capability 8.0, as an A100 has it; torch
    computes in bfloat16 without them too, but slower than in float32.
    """
    if device.startswith("cuda"):
        # `is_bf16_supported` counts emulation, unless told otherwise, which torch 2.4 cannot be.
        return torch.version.hip is not None or torch.cuda.get_device_capability(device)[0] >= 8
    return device == "cpu" and bool({"avx512_bf16", "amx_bf16"} & _cpu_capabilities())


def _cpu_capabilities() -> set[str]:
    if hasattr(torch.cpu, "get_capabilities"):
        return {name for name, there in torch.cpu.get_capabilities().items() if there}
    # Before torch 2.11; Linux names them alike.
    info = Path("/proc/cpuinfo")
    flags = re.search(r"^flags\s*:(.*)$", info.read_text(), re.MULTILINE) if info.exists() else None
    return set(flags[1].split()) if flags else set()
