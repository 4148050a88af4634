"""Classes of texts by the set of words and neighbouring words in them: the network form of an NB-SVM.

B texts, T tokens, V token ids, G known n-grams, C outputs (1 for two classes, else one a class).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from rnn_lightning.layers import NgramSum
from rnn_lightning.tasks.one_answer import NotTrained
from rnn_lightning.text import TextEncoder

Array = np.ndarray[Any, Any]


class BagOfNgrams(NotTrained):
    """Classifies texts by the set of n-grams in them, which is linear in the logits. It reads a text as a whole.

    It is not trained by steps, but fitted: `rnn-lightning baseline --keep`.

    Args:
        longest: tokens in the longest n-gram.
        num_ngrams: known n-grams; filled in when it is fitted.
        vocab_size: token ids; filled in when it is fitted.
        input_size: none, since there are no features.
        num_classes: classes; filled in when it is fitted.

    Attributes:
        ngrams: the network.
        train_checksum: what it was fitted on.

    Raises:
        ValueError: it is to be trained.
    """

    made_by = "a BagOfNgrams is fitted, not trained: rnn-lightning baseline --keep"
    ngrams: NgramSum
    train_checksum: Tensor

    def __init__(
        self,
        longest: int = 2,
        num_ngrams: int | None = None,
        vocab_size: int | None = None,
        input_size: int | None = None,
        num_classes: int | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False)
        if num_classes is None:
            raise ValueError(self.made_by)
        self.build()

    @classmethod
    def fitted(
        cls,
        encoder: TextEncoder,
        labels: Sequence[str],
        keys: Array,
        weights: Array,
        offsets: Array,
        train_checksum: int,
    ) -> Self:
        """The network that does what was fitted elsewhere.

        Args:
            encoder: has a token for each digit of a key.
            labels: names of the classes.
            keys: of the n-grams, as in `rnn_lightning.layers.ngrams` (G,).
            weights: what each of them adds to the logits (G, C).
            offsets: the logits of a text without any of them (C,).
            train_checksum: what it was fitted on.
        """
        longest = 1
        while encoder.vocab_size**longest <= keys.max():
            longest += 1
        model = cls(longest, len(keys), encoder.vocab_size, None, len(labels))
        model.labels, model.encoder, model.is_trained = tuple(labels), encoder, True
        for place, values in (
            (model.ngrams.keys, keys),
            (model.ngrams.weight, weights),
            (model.ngrams.offset, offsets),
            (model.train_checksum, np.int64(train_checksum)),
        ):
            place.data.copy_(torch.as_tensor(values))
        return model.eval()

    def build(self) -> None:
        """Makes the network and the metrics."""
        super().build()
        self.register_buffer("train_checksum", torch.zeros((), dtype=torch.int64))

    def _network(self, vocab_size: int | None, input_size: int | None, num_classes: int) -> dict[str, nn.Module]:
        assert vocab_size is not None, "n-grams are of tokens"
        h = self.hparams
        return {"ngrams": NgramSum(vocab_size, h["longest"], h["num_ngrams"], num_classes if num_classes > 2 else 1)}

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Logits: one number a text (B,) for two classes, else one a class (B, C), from token ids (B, T)."""
        logits: Tensor = self.ngrams(inputs, lengths)
        return logits.squeeze(1) if logits.size(1) == 1 else logits
