"""The device that a tool computes on, and what it is fast in."""

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

    Of a CPU these are AVX512-BF16 or AMX; torch computes in bfloat16 without them too, but slower than in float32.
    """
    if device.startswith("cuda"):
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities() if device == "cpu" else {}
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
