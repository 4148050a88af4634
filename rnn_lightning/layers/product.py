"""The product of inputs and a weight, by the faster of torch's two libraries for it.

N rows, K input features, M output features.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """As `torch.nn.functional.linear`, differentiable once: x (..., K) to (..., M).

    Args:
        x: the inputs (..., K).
        weight: (M, K).
        bias: (M,).
    """
    if torch.jit.is_tracing():  # type: ignore[no-untyped-call]  # torch does not declare it
        return functional.linear(x, weight, bias)  # what is traced is to run elsewhere
    found: Tensor = _Linear.apply(x, weight, bias)  # type: ignore[no-untyped-call]  # torch does not declare it
    return found


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """As `linear`, for gradients written by hand: autograd does not see it.

    torch multiplies with MKL, which has no AVX-512 for processors of AMD; oneDNN, a part of torch too, is more than
    twice as fast there. torch knows it under a private name, and without that this goes on with MKL.
    """
    if x.dtype == weight.dtype == torch.float32 and x.device.type == "cpu" and _is_amd():
        found: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
        return found
    return functional.linear(x, weight, bias)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return product(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor, Tensor | None]:
        x, weight = ctx.saved_tensors
        rows = grad.flatten(0, -2)
        grad_x = product(grad, weight.T.contiguous()) if ctx.needs_input_grad[0] else None
        return grad_x, rows.T @ x.flatten(0, -2), rows.sum(0) if ctx.needs_input_grad[2] else None


@cache
def _is_amd() -> bool:
    information = Path("/proc/cpuinfo")
    return (
        hasattr(torch.ops.mkldnn, "_linear_pointwise")
        and information.is_file()
        and "AuthenticAMD" in information.read_text("utf-8")
    )
