"""Classes of texts by the set of words and neighbouring words in them: the network form of an NB-SVM.

B texts, T tokens, V token ids, G known n-grams, C outputs (1 for two classes, else one a class), K folds, S training
texts.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from rnn_lightning.layers import NgramSum
from rnn_lightning.tasks.sequence_classifier import SequenceClassifier
from rnn_lightning.text import TextEncoder

Array = np.ndarray[Any, Any]

_NOT_TRAINED = "a BagOfNgrams is fitted, not trained: rnn-lightning baseline --keep"


class BagOfNgrams(SequenceClassifier):
    """Classifies texts by the set of n-grams in them, which is linear in the logits. It reads a text as a whole.

    It is not trained by steps, but fitted: `rnn-lightning baseline --keep`.

    Args:
        longest: tokens in the longest n-gram.
        num_ngrams: known n-grams; filled in when it is fitted.
        num_folds: parts of the training texts that are held out in turn; filled in when it is fitted.
        num_texts: training texts; filled in when it is fitted.
        vocab_size: token ids; filled in when it is fitted.
        input_size: none, since there are no features.
        num_classes: classes; filled in when it is fitted.

    Attributes:
        ngrams: the network.
        held_weight: its weights, fitted without each fold of the training texts (K, G, C).
        held_offset: its offsets, likewise (K, C).
        folds: which fold each training text is in (S,) uint8.
        train_checksum: what those texts are.

    Raises:
        ValueError: it is to be trained.
    """

    ngrams: NgramSum
    held_weight: Tensor
    held_offset: Tensor
    folds: Tensor
    train_checksum: Tensor

    def __init__(
        self,
        longest: int = 2,
        num_ngrams: int | None = None,
        num_folds: int | None = None,
        num_texts: int | None = None,
        vocab_size: int | None = None,
        input_size: int | None = None,
        num_classes: int | None = None,
    ) -> None:
        super(SequenceClassifier, self).__init__()  # it has none of the layers that its parent makes
        self.save_hyperparameters(logger=False)
        if num_classes is None:
            raise ValueError(_NOT_TRAINED)
        self.build()

    @classmethod
    def fitted(
        cls,
        encoder: TextEncoder,
        labels: Sequence[str],
        keys: Array,
        weights: Array,
        offsets: Array,
        folds: Array,
        train_checksum: int,
    ) -> Self:
        """The network that does what was fitted elsewhere.

        Args:
            encoder: has a token for each digit of a key.
            labels: names of the classes.
            keys: of the n-grams, as in `rnn_lightning.layers.ngrams` (G,).
            weights: what each of them adds to the logits, and again without each fold of the texts (1 + K, G, C).
            offsets: the logits of a text without any of them, likewise (1 + K, C).
            folds: which fold each training text is in (S,).
            train_checksum: what those texts are.
        """
        num_folds, vocab_size = len(weights) - 1, encoder.vocab_size
        longest = 1
        while vocab_size**longest <= keys.max():
            longest += 1
        model = cls(longest, len(keys), num_folds, len(folds), vocab_size, None, len(labels))
        model.labels, model.encoder, model.is_trained = tuple(labels), encoder, True
        for place, values in (
            (model.ngrams.keys, keys),
            (model.ngrams.weight, weights[0]),
            (model.ngrams.offset, offsets[0]),
            (model.held_weight, weights[1:]),
            (model.held_offset, offsets[1:]),
            (model.folds, folds),
            (model.train_checksum, np.int64(train_checksum)),
        ):
            place.data.copy_(torch.as_tensor(values))
        return model.eval()

    def on_fit_start(self) -> None:
        """Refuses to be trained."""
        raise ValueError(_NOT_TRAINED)

    def without(self, fold: int) -> NgramSum:
        """The network as it was fitted without this fold of the training texts."""
        found = copy.deepcopy(self.ngrams)
        found.weight.data.copy_(self.held_weight[fold])
        found.offset.data.copy_(self.held_offset[fold])
        return found

    def build(self) -> None:
        """Makes the network and the metrics, with room for what was fitted without each fold."""
        super().build()
        h, (count, outputs) = self.hparams, self.ngrams.weight.shape
        self.register_buffer("held_weight", torch.zeros(h["num_folds"], count, outputs))
        self.register_buffer("held_offset", torch.zeros(h["num_folds"], outputs))
        self.register_buffer("folds", torch.zeros(h["num_texts"], dtype=torch.uint8))
        self.register_buffer("train_checksum", torch.zeros((), dtype=torch.int64))

    def _network(self, vocab_size: int | None, input_size: int | None, num_classes: int) -> dict[str, nn.Module]:
        assert vocab_size is not None, "n-grams are of tokens"
        h = self.hparams
        return {"ngrams": NgramSum(vocab_size, h["longest"], h["num_ngrams"], num_classes if num_classes > 2 else 1)}

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Logits: one number a text (B,) for two classes, else one a class (B, C), from token ids (B, T)."""
        logits: Tensor = self.ngrams(inputs, lengths)
        return logits.squeeze(1) if logits.size(1) == 1 else logits
