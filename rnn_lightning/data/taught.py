"""Targets that a trained model gives: soft ones, for texts with and without a label.

Distillation (Hinton et al. 2015, https://arxiv.org/abs/1503.02531). N texts, C classes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from rnn_lightning.batch import Batch
from rnn_lightning.data.encoded import EncodedTexts
from rnn_lightning.text import TextEncoder, remap

Array = np.ndarray[Any, Any]
_AT_ONCE = 128
"""Texts that the teacher reads together."""


class Teacher(NamedTuple):
    """A trained classifier, as far as a data set has to know it.

    Attributes:
        name: what it is called in error texts.
        encoder: makes the token ids that it reads; None where it reads features.
        labels: the names of its classes.
        log_probabilities: those of the classes (B, C), of a batch.
    """

    name: str
    encoder: TextEncoder | None
    labels: tuple[str, ...]
    log_probabilities: Callable[[Batch], Array]


def check(teacher: Teacher, labels: tuple[str, ...], encoder: TextEncoder) -> None:
    """Looks whether it can teach these classes.

    Raises:
        ValueError: it knows others, or reads no such text.
    """
    if teacher.encoder is None or teacher.encoder.unit != encoder.unit:
        raise ValueError(f"teacher {teacher.name}: it does not read texts by the {encoder.unit}")
    if teacher.labels != labels:
        knows = f"tells {', '.join(teacher.labels)} apart" if teacher.labels else "predicts numbers"
        wanted = f"the classes are {', '.join(labels)}" if labels else "the targets are numbers"
        raise ValueError(f"teacher {teacher.name}: it {knows}, and here {wanted}")


def soft_targets(teacher: Teacher, tokens: Any, rows: Array, temperature: float) -> Array:
    """What the teacher says of these texts: a probability for each class, softened by a temperature (len(rows), C).

    Args:
        teacher: who is asked.
        tokens: all texts: `Tokens`, or what has the same attributes.
        rows: which texts.
        temperature: above 1, its answers are taken to be less certain than they are.
    """
    assert teacher.encoder is not None, "a teacher of texts has an encoder"
    new_ids = remap(tokens.words, teacher.encoder.words)
    texts = EncodedTexts(tokens, np.zeros(len(tokens.offsets) - 1), rows, new_ids, teacher.encoder)
    found = np.zeros((len(rows), len(teacher.labels)), np.float32)
    # Those of similar length together: less padding, and no other answer.
    order = np.argsort(texts.lengths, kind="stable")
    for start in range(0, len(order), _AT_ONCE):
        some = order[start : start + _AT_ONCE]
        scaled = teacher.log_probabilities(texts.__getitems__(some.tolist())) / temperature
        weights = np.exp(scaled - scaled.max(1, keepdims=True))
        found[some] = weights / weights.sum(1, keepdims=True)
    return found
