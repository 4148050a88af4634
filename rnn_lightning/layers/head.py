"""From a sequence's vector to the model's output. B sequences, F features, C outputs."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnn_lightning.layers.dropout import check_share


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation (Ioffe and Szegedy 2015, https://arxiv.org/abs/1502.03167) that copes with a batch of one.

    A single sequence, as a training set's last batch may be, has no variance: it is left as it is in training.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Features (B, F) to features (B, F)."""
        if self.training and input.size(0) == 1:
            # All parameters take part in every batch: in several processes each waits for the gradients of the others.
            return input + 0.0 * (self.weight + self.bias)
        return super().forward(input)


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
    check_share("dropout", dropout)
    before: list[nn.Module] = [BatchNorm(input_size)] if batch_norm else []
    if dropout > 0.0:
        before.append(nn.Dropout(dropout))
    return nn.Sequential(*before, nn.Linear(input_size, output_size))


class TiedHead(nn.Module):
    """Scores each token by the vector that it has as an input (Press and Wolf 2017, https://arxiv.org/abs/1608.05859).

    Padding, the first vector, is left out: it is never predicted.

    Args:
        vectors: the input vectors of V tokens (V, E); shared, not copied.
        input_size: features of a step, F; a linear map brings them to E where the two differ.
        dropout: share of the features set to zero in training.

    Raises:
        ValueError: dropout is outside [0, 1).
    """

    def __init__(self, vectors: nn.Embedding, input_size: int, dropout: float = 0.0) -> None:
        super().__init__()
        size = vectors.embedding_dim
        *before, linear = make_head(input_size, size, dropout)
        self.before = nn.Sequential(*before, *([linear] if input_size != size else []))
        # In a list, so that the vectors are parameters of the embedding alone.
        self._vectors = [vectors]
        self.bias = nn.Parameter(torch.zeros(vectors.num_embeddings - 1))

    def forward(self, x: Tensor) -> Tensor:
        """Features (..., F) to logits (..., V - 1)."""
        return functional.linear(self.before(x), self._vectors[0].weight[1:], self.bias)
