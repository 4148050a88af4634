"""What the data sets share whose texts have a label each: N texts, some more without, and L different words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np

from rnn_lightning.batch import UNKNOWN, Facts, Truncate
from rnn_lightning.data.base import at_least
from rnn_lightning.data.encoded import EncodedTexts, without_copies, word_counts
from rnn_lightning.data.windows import WindowedData, Windows
from rnn_lightning.text import TextEncoder, Unit, most_frequent, remap

Array = np.ndarray[Any, Any]
Targets = Literal["labels", "next_token", "previous_token"]
_NAMES: dict[str, str] = {"next_token": "_text", "previous_token": "_text_backward"}
"""What is added to the data set's name, where the targets are tokens."""


class LabelledTexts(WindowedData):
    """Base of data sets of texts with a label each, which a language model may read as well.

    Attributes:
        coverage: share of the tokens that the vocabulary is made from, and that are in it.
    """

    coverage: float

    def _check_texts(
        self,
        vocab_size: int,
        max_length: int | None,
        truncate: Truncate,
        targets: Targets,
        num_steps: int,
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
        self, tokens: Any, labels: Array, parts: dict[str, Array], further: Array, facts: Facts, unit: Unit = "word"
    ) -> None:
        """Makes the three parts, encoded for the model at work.

        Args:
            tokens: all texts: `Tokens`, or what has the same attributes.
            labels: of the texts that have one; they come first (N,).
            parts: which texts are in train, val and test.
            further: which texts have no label; copies of the test part's are left out.
            facts: what is known of the labels.
            unit: what a token is, where no model has a vocabulary yet.

        Raises:
            ValueError: the targets are tokens, and a part has fewer than two.
        """
        reading = np.concatenate((parts["train"], without_copies(tokens, further, parts["test"])))
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
            return
        self.facts = Facts(None, (), encoder, per_step=True, streams=True)
        mixed = np.random.RandomState(0).permutation(reading)  # numpy promises the same order from it for ever
        self.train, self.val, self.test = (
            self._windows(tokens, rows, name, new_ids)
            for name, rows in (("train", mixed), ("val", parts["val"]), ("test", parts["test"]))
        )

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
