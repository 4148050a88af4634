"""Initial values of recurrent weights.

H hidden features, D input features, G gates. A layer keeps its gates' matrices in one tensor, block under block: (G H,
D) for the input, (G H, H) for the recurrence.
"""

from __future__ import annotations

import math

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


def torch_uniform_(layer: nn.Module, hidden_size: int) -> None:
    """Draws all weights and biases of a layer as torch's RNN, LSTM and GRU do: evenly between -1 and 1 / sqrt(H).

    The gains of layer normalisation, which those have not, stay as they are.
    """
    bound = 1 / math.sqrt(hidden_size)
    for name, parameter in layer.named_parameters():
        if "gain" not in name:
            nn.init.uniform_(parameter, -bound, bound)


def check_finite(name: str, value: float) -> None:
    """Refuses what is no finite number.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name} is {value}; it must be a finite number")
