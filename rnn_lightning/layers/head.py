"""From a sequence's vector to the model's output. B sequences, F features, C outputs."""

from __future__ import annotations

from torch import nn


def make_head(input_size: int, output_size: int, dropout: float = 0.0, batch_norm: bool = False) -> nn.Sequential:
    """A linear map (B, F) -> (B, C), after batch normalisation and dropout where they are asked for.

    Args:
        input_size: features of a sequence, F.
        output_size: outputs, C.
        dropout: share of the features set to zero in training.
        batch_norm: normalise each feature over the batch (Ioffe and Szegedy 2015, https://arxiv.org/abs/1502.03167).

    Raises:
        ValueError: dropout is outside [0, 1).
    """
    if not 0.0 <= dropout < 1.0:
        raise ValueError(f"dropout is {dropout}; it must be at least 0 and below 1")
    before = [nn.BatchNorm1d(input_size)] if batch_norm else []
    return nn.Sequential(*before, *([nn.Dropout(dropout)] if dropout > 0.0 else []), nn.Linear(input_size, output_size))
