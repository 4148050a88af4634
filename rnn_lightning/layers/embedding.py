"""From token ids to vectors. B sequences, T steps, E features of a token, V token ids: 0 is padding, 1 is unknown."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rnn_lightning.batch import PAD, UNKNOWN
from rnn_lightning.layers.dropout import check_share


class TokenEmbedding(nn.Module):
    """A vector for each token id, with two ways of making training harder.

    Args:
        vocab_size: token ids, V, padding and unknown included.
        embedding_size: features of a token, E.
        dropout: share of the features set to zero, the same ones at all steps of a sequence
            (Gal and Ghahramani 2016, https://arxiv.org/abs/1512.05287).
        word_dropout: share of the tokens replaced by the unknown token, each time others.
        frozen: training leaves the vectors as they are.

    Raises:
        ValueError: a size is too small, or a dropout is outside [0, 1).
    """

    def __init__(
        self,
        vocab_size: int,
        embedding_size: int,
        dropout: float = 0.0,
        word_dropout: float = 0.0,
        frozen: bool = False,
    ) -> None:
        super().__init__()
        for name, size, least in (("vocab_size", vocab_size, UNKNOWN + 1), ("embedding_size", embedding_size, 1)):
            if size < least:
                raise ValueError(f"{name} is {size}; it must be at least {least}")
        check_share("embedding_dropout", dropout)
        check_share("word_dropout", word_dropout)
        self.word_dropout = word_dropout
        self.vectors = nn.Embedding(vocab_size, embedding_size, padding_idx=PAD)
        nn.init.normal_(self.vectors.weight, std=0.1)
        with torch.no_grad():
            self.vectors.weight[PAD] = 0.0
        self.vectors.requires_grad_(not frozen)
        self.dropout = nn.Dropout1d(dropout)

    def start_from(self, values: Tensor, known: Tensor) -> None:
        """Takes over vectors that were trained elsewhere.

        Args:
            values: a vector for each token behind padding and the unknown one (V - 2, E).
            known: which of them mean something (V - 2,); all other tokens, and the unknown one, get their mean.
        """
        with torch.no_grad():
            self.vectors.weight[UNKNOWN:] = values[known].mean(0)
            self.vectors.weight[UNKNOWN + 1 :][known] = values[known]

    def forward(self, ids: Tensor) -> Tensor:
        """Token ids (B, T) to vectors (B, T, E); padding gets zeros."""
        if self.training and self.word_dropout > 0.0:
            hidden = (torch.rand(ids.shape, device=ids.device) < self.word_dropout) & (ids != PAD)
            ids = ids.masked_fill(hidden, UNKNOWN)
        vectors: Tensor = self.vectors(ids)
        if self.training and self.dropout.p > 0.0:
            keep = self.dropout(vectors.new_ones(vectors.size(0), vectors.size(2), 1))
            vectors = vectors * keep.transpose(1, 2)
        return vectors
