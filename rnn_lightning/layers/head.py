"""From a sequence's vector to the model's output. B sequences, F features, C outputs."""

from __future__ import annotations

from torch import Tensor, nn


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation (Ioffe and Szegedy 2015, https://arxiv.org/abs/1502.03167) that copes with a batch of one.

    A single sequence, as a training set's last batch may be, has no variance: it is left as it is in training.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Features (B, F) to features (B, F)."""
        return input if self.training and input.size(0) == 1 else super().forward(input)


def make_head(input_size: int, output_size: int, dropout: float = 0.0, batch_norm: bool = False) -> nn.Sequential:
    """A linear map (B, F) -> (B, C), after batch normalisation and dropout where they are asked for.

    Args:
        input_size: features of a sequence, F.
        output_size: outputs, C.
        dropout: share of the features set to zero in training.
        batch_norm: normalise each feature over the batch.

    Raises:
        ValueError: dropout is outside [0, 1).
    """
    if not 0.0 <= dropout < 1.0:
        raise ValueError(f"dropout is {dropout}; it must be at least 0 and below 1")
    before: list[nn.Module] = [BatchNorm(input_size)] if batch_norm else []
    if dropout > 0.0:
        before.append(nn.Dropout(dropout))
    return nn.Sequential(*before, nn.Linear(input_size, output_size))
