"""N-grams beside a recurrent network: the logits of a fitted `BagOfNgrams`, added to its own.

    logits = a * logits of the recurrent network + b * logits of the n-grams + offset

A linear model of many features beside a deep one of few (Cheng et al. 2016, https://arxiv.org/abs/1606.07792). Other
than there both are fitted for themselves, and put together on the validation part (`rnn_lightning.stacking`): each has
learnt the training texts too well to be weighed by what it says of them.
"""

from __future__ import annotations

from typing import Any

import torch

from rnn_lightning.layers import NgramMix, NgramSum
from rnn_lightning.tasks.bag_of_ngrams import BagOfNgrams
from rnn_lightning.tasks.loading import load
from rnn_lightning.text import TextEncoder, remap


def kept(path: str) -> BagOfNgrams:
    """The `BagOfNgrams` of a run folder or checkpoint file.

    Raises:
        ValueError: there is none.
    """
    model = load(path)
    if not isinstance(model, BagOfNgrams):
        raise ValueError(
            f"ngrams wants a run of n-grams, from rnn-lightning baseline --keep; {path} holds a {type(model).__name__}"
        )
    return model


def in_words_of(encoder: TextEncoder | None, labels: tuple[str, ...], model: BagOfNgrams, path: str) -> NgramSum:
    """The n-grams of a model for the data at hand: tokens are the same where they are the same words.

    Args:
        encoder: of the data; None where it has features.
        labels: of the data.
        model: what was fitted.
        path: where it stands, for error texts.

    Raises:
        ValueError: it is of other classes or tokens.
    """
    own = model.encoder
    assert own is not None, "n-grams are of texts"
    if encoder is None or labels != model.labels:
        has = "features" if encoder is None else f"the classes {', '.join(labels)}" if labels else "numbers"
        raise ValueError(f"the n-grams of {path} tell {', '.join(model.labels)} apart in texts; this data has {has}")
    if encoder.unit != own.unit:
        raise ValueError(f"the n-grams of {path} are of the unit {own.unit}, this data is of {encoder.unit}")
    try:
        return model.ngrams.in_vocabulary(torch.from_numpy(remap(own.words, encoder.words)), encoder.vocab_size)
    except ValueError as error:
        raise ValueError(f"the n-grams of {path} do not fit this data: {error}") from error


def check_train(mix: NgramMix, path: str, data: Any) -> None:
    """Holds the n-grams to be fitted on the training texts of a data set.

    Raises:
        ValueError: they were fitted on others, among which may be texts that are for validation here.
    """
    if data.train.whole().checksum() != mix.train_checksum:
        raise ValueError(
            f"the n-grams of {path} were fitted on other training texts than these, and may have seen those that are "
            "for validation here: fit them on this data (rnn-lightning baseline --keep, with its options)"
        )
