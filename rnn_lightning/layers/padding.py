"""Valid steps and padding, without a loop and without packing.

B sequences, T steps, D features a step. Row i of x (B, T, D) is valid up to its length: x[i, :lengths[i]]. `lengths` is
(B,) int64; None says that every step is valid.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

_BITS = {2: torch.int16, 4: torch.int32, 8: torch.int64}
"""Whole numbers of so many bytes."""


def check_sequences(x: Tensor, lengths: Tensor | None, input_size: int) -> None:
    """Holds x to (B, T, input_size) and lengths to (B,), each a whole number from 0 to T.

    Raises:
        ValueError: one of them is something else.
    """
    if x.dim() != 3 or x.size(2) != input_size:
        raise ValueError(f"x must be (B, T, {input_size}); it is {tuple(x.shape)}")
    if lengths is None:
        return
    if not isinstance(lengths, Tensor) or lengths.dtype not in (torch.int64, torch.int32):
        kind = lengths.dtype if isinstance(lengths, Tensor) else f"a {type(lengths).__name__}"
        raise ValueError(f"lengths must be a tensor of whole numbers, int64; it is {kind}")
    if lengths.shape != x.shape[:1]:
        raise ValueError(f"lengths must be ({x.size(0)},), one for each sequence; it is {tuple(lengths.shape)}")
    # Elsewhere to look at a value is to wait for the device.
    if lengths.device.type == "cpu" and len(lengths) and not torch.compiler.is_compiling():
        least, most = (int(length) for length in lengths.aminmax())
        if least < 0 or most > x.size(1):
            wrong = least if least < 0 else most
            raise ValueError(f"lengths must be from 0 to {x.size(1)}, the steps of x; one is {wrong}")


def valid_steps(lengths: Tensor, num_steps: int) -> Tensor:
    """True where a step belongs to the sequence, (B, T)."""
    return torch.arange(num_steps, device=lengths.device) < lengths.unsqueeze(1)


def zero_padding(x: Tensor, lengths: Tensor | None) -> Tensor:
    """`x` with zeros beyond each sequence's length, whatever stood there: NaN goes too, and no gradient comes back."""
    if lengths is None:
        return x
    valid = valid_steps(lengths, x.size(1)).unsqueeze(-1)
    if _in_operators_alone() or not x.is_floating_point():
        return torch.where(valid, x, 0.0)
    zeroed: Tensor = _Kept.apply(x, valid)  # type: ignore[no-untyped-call]  # undeclared
    return zeroed


def _in_operators_alone() -> bool:
    """Whether a compiler or an exporter looks on, who knows the usual operators alone."""
    tracing: bool = torch.jit.is_tracing()  # type: ignore[no-untyped-call]  # torch does not declare it
    return tracing or torch.compiler.is_compiling()


class _Kept(torch.autograd.Function):
    """Numbers where a condition holds and zeros elsewhere, as `torch.where` has it, five times as fast on a CPU.

    All bits of a number and ones are the number, and zeros, be it NaN, are zero.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, condition: Tensor) -> Tensor:
        ctx.save_for_backward(condition)
        bits = _BITS[x.element_size()]
        return x.view(bits).bitwise_and(-condition.to(bits)).view(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (condition,) = ctx.saved_tensors
        zeroed: Tensor = _Kept.apply(grad, condition)  # type: ignore[no-untyped-call]  # undeclared
        return zeroed, None


def add_padding_input(x: Tensor, lengths: Tensor, weight: Tensor, pushes: Sequence[float]) -> tuple[Tensor, Tensor]:
    """One more input, 1 on padding and 0 on valid steps, that pushes the layer's arguments there by constants.

    Args:
        x: the inputs (B, T, D).
        lengths: valid steps of each sequence (B,).
        weight: the input matrices of G gates, block under block (G H, D).
        pushes: what padding adds to each gate's argument, G numbers.

    Returns:
        The inputs (B, T, D + 1) and the weight (G H, D + 1).
    """
    padding = ~valid_steps(lengths, x.size(1)).unsqueeze(-1)
    column = weight.new_tensor(pushes).repeat_interleave(weight.size(0) // len(pushes)).unsqueeze(1)
    return torch.cat((x, padding.to(x.dtype)), 2), torch.cat((weight, column), 1)


def last_valid(output: Tensor, lengths: Tensor | None, initial: Tensor) -> Tensor:
    """Each sequence's output at its own last valid step (B, H), and its row of `initial` where it has none."""
    if lengths is None:
        return output[:, -1]
    rows = torch.arange(output.size(0), device=output.device)
    last = output[rows, (lengths - 1).clamp(min=0)]
    return torch.where((lengths > 0).unsqueeze(-1), last, initial)


def reverse(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Each sequence backwards within its own length, its padding left where it is. Twice gives `x` back."""
    if lengths is None:
        return x.flip(1)
    batch_size, num_steps = x.shape[:2]
    steps = torch.arange(num_steps, device=x.device)
    source = torch.where(valid_steps(lengths, num_steps), lengths.unsqueeze(1) - 1 - steps, steps)
    rows = source + num_steps * torch.arange(batch_size, device=x.device).unsqueeze(1)
    exchanged: Tensor = _Exchange.apply(x.flatten(0, 1), rows.flatten())  # type: ignore[no-untyped-call]  # undeclared
    return exchanged.view_as(x)


class _Exchange(torch.autograd.Function):
    """Whole rows in another order, of which some change places in pairs.

    Several times faster than gather, whose backward scatters single numbers, and twice as fast as autograd's way back
    from index_select, which adds: where rows change places in pairs, the way back is the way there.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, rows: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        return x.index_select(0, rows)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (rows,) = ctx.saved_tensors
        found: Tensor = _Exchange.apply(grad, rows)  # type: ignore[no-untyped-call]  # undeclared
        return found, None
