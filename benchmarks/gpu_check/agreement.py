"""The same module on a CPU and on another device: outputs and gradients are compared."""

import copy
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Case:
    """A module with inputs, whose outputs and gradients must not depend on the device.

    Attributes:
        name: name of what is compared.
        make: makes the module, on the CPU, and its inputs; a tensor among them that requires a gradient is a leaf.
        call: computes the outputs by name.
        tolerance: largest relative error of outputs, the norm of the difference over the norm of the CPU's.
        gradient_tolerance: the same of gradients.
    """

    name: str
    make: Callable[[], tuple[nn.Module, dict[str, Any]]]
    call: Callable[[nn.Module, dict[str, Any]], dict[str, Tensor]]
    tolerance: float = 1e-4
    gradient_tolerance: float = 1e-3


def compare(case: Case, device: str) -> dict:
    """Compute a case on the CPU and on a device.

    Returns:
        `name`; `output_error` and `gradient_error`, the largest relative ones, with the names `worst_output` and
        `worst_gradient`; `output_norm` and `gradient_norm`, of what was compared; the tolerances, and `passed`.
    """
    torch.manual_seed(0)
    module, inputs = case.make()
    here = _results(case, module, inputs, "cpu")
    there = _results(case, copy.deepcopy(module), inputs, device)
    row = {"name": case.name, "tolerance": case.tolerance, "gradient_tolerance": case.gradient_tolerance}
    for kind, one, other in zip(("output", "gradient"), here, there, strict=True):
        errors = {name: relative_error(one[name], other[name]) for name in one}
        worst = max(errors, key=errors.get)
        norm = float(torch.stack([value.double().norm() for value in one.values()]).norm())
        row |= {f"{kind}_error": errors[worst], f"worst_{kind}": worst, f"{kind}_norm": norm}
    row["passed"] = row["output_error"] <= case.tolerance and row["gradient_error"] <= case.gradient_tolerance
    return row


def relative_error(expected: Tensor, actual: Tensor) -> float:
    """Return the norm of the difference over the norm of what is expected; infinite where something is not finite."""
    expected, actual = expected.double(), actual.double()
    if not (torch.isfinite(expected).all() and torch.isfinite(actual).all()):
        return float("inf")
    return float((expected - actual).norm() / expected.norm().clamp(min=1e-12))


def _results(
    case: Case, module: nn.Module, inputs: dict[str, Any], device: str
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    module = module.to(device)
    inputs = {name: moved(value, device) for name, value in inputs.items()}
    leaves = {name: v for name, v in inputs.items() if isinstance(v, Tensor) and v.requires_grad}
    leaves |= {name: p for name, p in module.named_parameters() if p.requires_grad}
    outputs = case.call(module, inputs)
    generator = torch.Generator().manual_seed(1)
    total = sum((v * torch.randn(v.shape, generator=generator).to(v)).sum() for v in outputs.values())
    found = torch.autograd.grad(total, list(leaves.values()), allow_unused=True)
    gradients = {name: g for name, g in zip(leaves, found, strict=True) if g is not None}
    return tuple({name: v.detach().cpu() for name, v in part.items()} for part in (outputs, gradients))


def moved(value: Any, device: str) -> Any:
    """Copy tensors, and carriers and lists of them, to a device; a leaf becomes a leaf there."""
    if isinstance(value, Tensor):
        return value.detach().to(device).clone().requires_grad_(value.requires_grad)
    if isinstance(value, list | tuple):
        return type(value)(moved(v, device) for v in value)
    if dataclasses.is_dataclass(value):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        if any(isinstance(v, Tensor) for v in fields.values()):
            return dataclasses.replace(value, **{name: moved(v, device) for name, v in fields.items()})
    return value
