"""The data sets that are made from a seed, small, for tests that hold for all of them."""

from __future__ import annotations

from typing import Any

from rnn_lightning import AddingProblem, CopyMemory, Parity, SelectiveCopy, SyntheticSequences, TemporalOrder
from rnn_lightning.batch import Batch
from rnn_lightning.data.base import Sequences
from rnn_lightning.data.seeded import SeededData

SIZES = {"num_train": 40, "num_val": 30, "num_test": 20}
KINDS: dict[str, type[SeededData]] = {
    kind.__name__: kind
    for kind in (AddingProblem, CopyMemory, Parity, SelectiveCopy, SyntheticSequences, TemporalOrder)
}


def ready(kind: type[SeededData], **options: Any) -> Any:
    """The data set with its splits made."""
    data = kind(**{**SIZES, **options})
    data.setup("fit")
    return data


def everything(sequences: Sequences) -> Batch:
    """All sequences of a split as one batch."""
    return sequences.__getitems__(list(range(len(sequences))))
