"""What the data sets share whose texts have a label each: N texts, some more without, and L different words."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np
from lightning.pytorch.utilities import rank_zero_only

from rnn_lightning.batch import UNKNOWN, Facts, Truncate
from rnn_lightning.data.base import at_least
from rnn_lightning.data.encoded import EncodedTexts, without_copies, word_counts
from rnn_lightning.data.taught import Teacher, check, soft_targets
from rnn_lightning.data.windows import WindowedData, Windows
from rnn_lightning.text import TextEncoder, Unit, most_frequent, remap

Array = np.ndarray[Any, Any]
_log = logging.getLogger("rnn_lightning")
Targets = Literal["labels", "next_token", "previous_token"]
_NAMES: dict[str, str] = {"next_token": "_text", "previous_token": "_text_backward"}
"""What is added to the data set's name, where the targets are tokens."""


class LabelledTexts(WindowedData):
    """Base of data sets of texts with a label each, which a language model may read as well.

    Attributes:
        coverage: share of the tokens that the vocabulary is made from, and that are in it.
    """

    coverage: float
    load_teacher: Callable[[str], Any] | None = None
    """Gives what `Teacher` is made of, from the name of a run or a checkpoint; the command sets it."""

    def _check_texts(
        self,
        vocab_size: int,
        max_length: int | None,
        truncate: Truncate,
        targets: Targets,
        num_steps: int,
        teacher: str | None,
        teacher_weight: float,
        temperature: float,
    ) -> None:
        """Takes the options that all of them have.

        Raises:
            ValueError: one is out of range.
        """
        at_least("vocab_size", vocab_size, 1)
        at_least("max_length", max_length, 1)
        at_least("num_steps", num_steps, 1)
        for name, value, known in (("truncate", truncate, Truncate), ("targets", targets, Targets)):
            if value not in get_args(known):
                raise ValueError(f"{name} is '{value}', not one of {', '.join(get_args(known))}")
        if not 0 <= teacher_weight <= 1:
            raise ValueError(f"teacher_weight is {teacher_weight}; it is a share, from 0 to 1")
        if temperature <= 0:
            raise ValueError(f"temperature is {temperature}; it must be above 0")
        if teacher is None and (teacher_weight > 0 or temperature != 1):
            raise ValueError("teacher_weight and temperature are those of a teacher, and none is named")
        if teacher is not None and targets != "labels":
            raise ValueError(f"a teacher gives labels, and targets is '{targets}'")
        self.teacher = teacher
        self.teacher_weight = teacher_weight
        self.temperature = temperature
        self.vocab_size = vocab_size
        self.max_length = max_length
        self.truncate: Truncate = truncate
        self.targets: Targets = targets
        self.num_steps = num_steps
        self.streams = targets != "labels"

    @staticmethod
    def _named(name: str, targets: str) -> str:
        """What a data set is called in run folders, with these targets."""
        return name + _NAMES.get(targets, "")

    def _arrange(
        self,
        stage: str,
        tokens: Any,
        labels: Array,
        parts: dict[str, Array],
        further: Array,
        facts: Facts,
        unit: Unit = "word",
    ) -> None:
        """Makes the three parts, encoded for the model at work.

        Args:
            stage: what is to be done with them: fit, validate, test or predict.
            tokens: all texts: `Tokens`, or what has the same attributes.
            labels: of the texts that have one; they come first (N,).
            parts: which texts are in train, val and test.
            further: which texts have no label; copies of what is validated or tested are left out.
            facts: what is known of the labels.
            unit: what a token is, where no model has a vocabulary yet.

        Raises:
            ValueError: the targets are tokens, and a part has fewer than two.
        """
        further = without_copies(tokens, further, np.concatenate((parts["val"], parts["test"])))
        reading = np.concatenate((parts["train"], further))
        counts = word_counts(tokens, reading)
        encoder = self.model_encoder
        if encoder is None:
            words = most_frequent(tokens.words, counts, self.vocab_size)
            encoder = TextEncoder(words, self.max_length, self.truncate, unit)
        new_ids = remap(tokens.words, encoder.words)
        self.coverage = float(counts[new_ids != UNKNOWN].sum() / max(counts.sum(), 1))
        if self.targets == "labels":
            self.facts = replace(facts, encoder=encoder)
            self.train, self.val, self.test = (
                EncodedTexts(tokens, labels, parts[part], new_ids, encoder) for part in ("train", "val", "test")
            )
            if self.teacher is not None and stage == "fit":
                targets = self._taught(tokens, labels, parts["train"], further)
                self.train = EncodedTexts(tokens, targets, reading, new_ids, encoder)
            return
        self.facts = Facts(None, (), encoder, per_step=True, streams=True)
        mixed = np.random.RandomState(0).permutation(reading)  # numpy promises the same order from it for ever
        self.train, self.val, self.test = (
            self._windows(tokens, rows, name, new_ids)
            for name, rows in (("train", mixed), ("val", parts["val"]), ("test", parts["test"]))
        )

    def _taught(self, tokens: Any, labels: Array, train: Array, further: Array) -> Array:
        """A probability for each class, for the texts to be learnt from (N, C)."""
        assert self.facts.encoder is not None, "texts have an encoder"
        if self.load_teacher is None:
            raise ValueError("a data set that has a teacher is told how to load it: data.load_teacher")
        teacher = Teacher(*self.load_teacher(str(self.teacher)))
        check(teacher, self.facts.labels, self.facts.encoder)
        asked = np.concatenate((train, further)) if self.teacher_weight > 0 else further
        if len(asked) == 0:
            raise ValueError(
                f"teacher {teacher.name}: there are no texts without a label that it could label; "
                "with teacher_weight above 0 it labels the others too"
            )
        rank_zero_only(_log.info)("%s labels %s texts", teacher.name, f"{len(asked):,}")
        targets = np.zeros((len(tokens.offsets) - 1, len(teacher.labels)), np.float32)
        targets[asked] = soft_targets(teacher, tokens, asked, self.temperature)
        true = np.eye(len(teacher.labels), dtype=np.float32)[labels[train]]
        targets[train] = self.teacher_weight * targets[train] + (1 - self.teacher_weight) * true
        return targets

    def _windows(self, tokens: Any, rows: Array, part: str, new_ids: Array) -> Windows:
        """The texts of a part, one after the other."""
        texts = [tokens.ids[tokens.offsets[row] : tokens.offsets[row + 1]] for row in rows]
        ids = np.concatenate(texts) if texts else np.zeros(0, np.int32)
        if len(ids) < 2:
            raise ValueError(f"the texts of the {part} part have {len(ids)} tokens: there is no next one to predict")
        if self.targets == "previous_token":
            ids = ids[::-1]
        return Windows(ids, (0, len(ids)), new_ids, self.num_steps)

    def _vocabulary(self) -> str:
        assert self.facts.encoder is not None, "texts have an encoder"
        size = f"{len(self.facts.encoder.words):,} {self._kind}"
        return f"vocabulary {size} ({100 * self.coverage:.1f} % of the training tokens)"

    def _sizes(self, what: str) -> str:
        """The sizes of the three parts, in tokens where these are the targets."""
        sizes = [int(part.lengths.sum()) if self.streams else len(part) for part in (self.train, self.val, self.test)]
        return "{:,} train / {:,} validation / {:,} test".format(*sizes) + (f" {self._kind}" if self.streams else what)

    @property
    def _kind(self) -> str:
        assert self.facts.encoder is not None, "texts have an encoder"
        return "characters" if self.facts.encoder.unit == "character" else "words"
