"""The device that a tool computes on."""

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
