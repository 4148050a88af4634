"""N-grams beside a recurrent network: the logits of a fitted `BagOfNgrams`, added to its own.

    logits = a * logits of the recurrent network + b * logits of the n-grams

A linear model of many features beside a deep one of few (Cheng et al. 2016, https://arxiv.org/abs/1606.07792). Other
than there the linear one is fitted before, the deep one learns by the loss of its own logits, and a and b alone by the
loss of the sum. What was fitted to a text scores it too well to be weighed by it: in training the n-grams say of each
text what those say that were fitted without it (stacking; Wolpert 1992, https://doi.org/10.1016/S0893-6080(05)80023-1).

S training texts, C outputs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from rnn_lightning.layers import NgramSum
from rnn_lightning.tasks.loading import load
from rnn_lightning.text import TextEncoder, remap

if TYPE_CHECKING:
    from rnn_lightning.tasks.bag_of_ngrams import BagOfNgrams

_AT_ONCE = 256
"""Training texts that are padded together."""


def kept(path: str) -> BagOfNgrams:
    """The `BagOfNgrams` of a run folder or checkpoint file.

    Raises:
        ValueError: there is none.
    """
    from rnn_lightning.tasks.bag_of_ngrams import BagOfNgrams  # it is a SequenceClassifier, which imports this file

    model = load(path)
    if not isinstance(model, BagOfNgrams):
        raise ValueError(
            f"ngrams wants a run of n-grams, from rnn-lightning baseline --keep; {path} holds a {type(model).__name__}"
        )
    return model


def in_words_of(encoder: TextEncoder, ngrams: NgramSum, model: BagOfNgrams, path: str) -> NgramSum:
    """The n-grams of a model for the token ids of another encoder: tokens are the same where they are the same words.

    Raises:
        ValueError: the other encoder makes other tokens, or has none of these n-grams.
    """
    own = model.encoder
    assert own is not None, "n-grams are of texts"
    if encoder.unit != own.unit:
        raise ValueError(f"the n-grams of {path} are of the unit {own.unit}, this data is of {encoder.unit}")
    try:
        return ngrams.in_vocabulary(torch.from_numpy(remap(own.words, encoder.words)), encoder.vocab_size)
    except ValueError as error:
        raise ValueError(f"the n-grams of {path} do not fit this data: {error}") from error


def term_of(path: str, labels: tuple[str, ...], encoder: TextEncoder | None) -> NgramSum:
    """The n-grams of a run for the data at hand.

    Raises:
        ValueError: there are none, or they are of other classes or tokens.
    """
    model = kept(path)
    if encoder is None or labels != model.labels:
        has = "features" if encoder is None else f"the classes {', '.join(labels)}" if labels else "numbers"
        raise ValueError(f"the n-grams of {path} tell {', '.join(model.labels)} apart in texts; this data has {has}")
    return in_words_of(encoder, model.ngrams, model, path)


@torch.no_grad()
def held_out(path: str, encoder: TextEncoder, data: Any) -> Tensor:
    """The logits of each training text by weights that were fitted without it (S, C), on what the encoder leaves of it.

    Args:
        path: the run of the n-grams.
        encoder: of the model at work.
        data: a data set, set up.

    Raises:
        ValueError: the n-grams were fitted on other training texts.
    """
    model, train = kept(path), data.train
    if train.whole().checksum() != model.train_checksum:
        raise ValueError(
            f"the n-grams of {path} were fitted on other training texts than these: what they say of texts that "
            "they have seen cannot be told from what they say of others. Fit them on this data: rnn-lightning "
            "baseline --keep, with the same options of the data"
        )
    logits = torch.zeros(len(train), len(model.held_offset[0]))
    for fold in range(len(model.held_weight)):
        ngrams = in_words_of(encoder, model.without(fold), model, path)
        for rows in torch.where(model.folds == fold)[0].split(_AT_ONCE):
            batch = train.__getitems__(rows.tolist())
            logits[rows] = ngrams(batch.inputs, batch.lengths)
    return logits
