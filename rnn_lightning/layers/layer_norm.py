"""Layer normalisation (Ba, Kiros and Hinton 2016, https://arxiv.org/abs/1607.06450), for gradients written by hand.

B sequences, F features, G blocks of H features. Each row of x (B, F) gets mean 0 and variance 1 over its features:

    LN(x) = (x - mean) * scale,   scale = 1 / sqrt(variance + 1e-5)

Where autograd is at work, `torch.nn.functional.layer_norm` does the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_EPSILON = 1e-5


def normalise(x: Tensor, gain: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Gain * LN(x) + bias (B, F), and what `normalise_backward` needs: the mean and the scale, both (B, 1)."""
    return torch.native_layer_norm(x, gain.shape, gain, bias, _EPSILON)


def normalise_backward(
    grad: Tensor, x: Tensor, moments: Sequence[Tensor], gain: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """From the gradient of gain * LN(x) + bias (B, F) to those of x (B, F), of the gain and of the bias (F,).

    Args:
        grad: the gradient of what `normalise` made.
        x: what was normalised.
        moments: the two tensors that `normalise` gave beside it.
        gain: as in `normalise`.
    """
    # Of the bias only its presence counts: the gain stands in for it.
    found: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.native_layer_norm_backward(
        grad, x, gain.shape, *moments, gain, gain, (True, True, True)
    )
    return found


def normalise_blocks(x: Tensor, num_blocks: int) -> tuple[Tensor, Tensor]:
    """LN of each block of x (B, G H) by itself, as (B, G H), and its scale (B, G, 1)."""
    blocks = x.view(len(x), num_blocks, -1)
    normal, _, scale = torch.native_layer_norm(blocks, blocks.shape[2:], None, None, _EPSILON)
    return normal.flatten(1), scale


def normalise_blocks_backward(grad: Tensor, normal: Tensor, scale: Tensor, out: Tensor) -> None:
    """From the gradient of what `normalise_blocks` made (B, G H) to that of x, written to `out`.

    Args:
        grad: the gradient.
        normal: what `normalise_blocks` made.
        scale: what it gave beside it.
        out: memory for the gradient of x.
    """
    blocks = normal.view(len(normal), scale.size(1), -1)
    # As if `normal` had been normalised itself: its mean is 0 and its scale 1.
    gradient, _, _ = torch.ops.aten.native_layer_norm_backward(
        grad.view_as(blocks),
        blocks,
        blocks.shape[2:],
        torch.zeros_like(scale),
        torch.ones_like(scale),
        None,
        None,
        (True, False, False),
    )
    torch.mul(gradient, scale, out=out.view_as(blocks))
