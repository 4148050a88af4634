"""Initial values of recurrent weights.

H hidden features, D input features, G gates. A layer keeps its gates' matrices in one tensor, block under block: (G H,
D) for the input, (G H, H) for the recurrence.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_LONGEST = 60
"""Steps that a feature remembers at most, at the beginning of a training."""


def orthogonal_blocks_(weight: Tensor, hidden_size: int) -> None:
    """Makes each gate's (H, H) block orthogonal by itself.

    Over the whole (G H, H) tensor at once each block would come out with only 1 / sqrt(G) of the gain
    (Saxe et al. 2014, https://arxiv.org/abs/1312.6120, for one matrix).
    """
    for block in weight.chunk(weight.size(0) // hidden_size):
        # In 32 bits or more, since the factorisation behind it knows no 16-bit floats.
        exact = torch.empty_like(block, dtype=torch.promote_types(block.dtype, torch.float32))
        with torch.no_grad():
            block.copy_(nn.init.orthogonal_(exact))


def xavier_blocks_(weight: Tensor, hidden_size: int) -> None:
    """Draws each gate's (H, D) block from Glorot and Bengio's uniform distribution (2010)."""
    for block in weight.chunk(weight.size(0) // hidden_size):
        nn.init.xavier_uniform_(block)


def log_memories_(bias: Tensor) -> Tensor:
    """Draws the forget gates' bias so that memories of 2 to 60 steps are evenly spread.

    After Tallec and Ollivier (2018, https://arxiv.org/abs/1804.11188): a gate f remembers for about 1 / (1 - f) steps.
    """
    return bias.uniform_(1.0, _LONGEST - 1.0).log_()
