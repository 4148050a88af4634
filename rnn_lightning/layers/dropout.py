"""Randomness in training: shares of features or weights set to zero. B sequences, T steps, F features."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


def check_share(name: str, share: float) -> None:
    """Holds a dropout to [0, 1).

    Raises:
        ValueError: it is outside.
    """
    if not 0.0 <= share < 1.0:
        raise ValueError(f"{name} is {share}; it must be at least 0 and below 1")


def mask_like(x: Tensor, share: float) -> Tensor:
    """Zeros in the place of this share of the features, and above 1 elsewhere, so that the mean is 1; shaped as x."""
    return functional.dropout(torch.ones_like(x), share)


class LockedDropout(nn.Dropout):
    """Dropout of the same features at all steps of a sequence (Gal and Ghahramani 2016)."""

    def forward(self, input: Tensor) -> Tensor:
        """Features (B, T, F) to features (B, T, F)."""
        return input * mask_like(input[:, :1], self.p) if self.training and self.p > 0.0 else input


def recurrent_matrices(layer: nn.Module) -> dict[str, nn.Parameter]:
    """The matrices between one step and the next, by their names in the layer: all that are called weight_hidden."""
    return {name: weight for name, weight in layer.named_parameters() if name.split(".")[-1] == "weight_hidden"}
