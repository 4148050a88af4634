"""A class for each step of a sequence.

B sequences, T steps, D input features (E where tokens are embedded), F features after the recurrent layers, C classes.
Steps may be without a label: they are neither learnt nor counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rnn_lightning.batch import NO_LABEL, Batch, Facts
from rnn_lightning.intervals import of_mean
from rnn_lightning.layers import RecurrentStack, TokenEmbedding, make_head
from rnn_lightning.layers.padding import valid_steps
from rnn_lightning.tasks.base import SequenceTask, last_target
from rnn_lightning.tasks.metrics import MeanLoss, Outcomes, checksums
from rnn_lightning.tasks.networks import InitName, make_embedding, make_recurrent


class StepLabels(NamedTuple):
    """The most probable class of each step of a sequence, with its probability."""

    labels: list[str]
    probabilities: list[float]


class TokenLabels(NamedTuple):
    """The tokens of a text, and the most probable class of each with its probability."""

    tokens: list[str]
    labels: list[str]
    probabilities: list[float]


class SequenceTagger(SequenceTask):
    """Gives each step of a sequence a class: recurrent layers and, after every step, the same linear head.

    Whether the inputs are tokens or real-valued features, and how many classes there are, is told by the data.

    Args:
        cell: short name of the recurrent layer: rnn, lstm, gru, rnn_ln, lstm_ln, gru_ln, mingru, minlstm, qrnn, sru,
            slstm, transformer, or an installed package's own.
        hidden_size: features of each recurrent layer in each direction.
        num_layers: recurrent layers on top of each other.
        bidirectional: run each layer in both directions, so that a step knows what comes after it.
        residual: add each layer's input to its output.
        prenorm: as residual, and each layer sees its input after layer normalisation.
        layer_dropout: dropout between the recurrent layers.
        locked_dropout: that dropout is of the same features at all steps of a sequence.
        weight_dropout: dropout of the weights between one step and the next, others for each batch.
        projection_size: features that each layer's output is brought to by a linear map; null leaves it as it is.
        cell_options: further options of the layer, for example {nonlinearity: relu} of rnn.
        init: what the recurrent layers begin with: default, as each layer has it (orthogonal recurrence, Xavier inputs,
            open forget gates), or torch, all of it uniform in +-1 / sqrt(hidden_size), as in torch's own layers;
            a forget_bias among the cell_options holds even then.
        embedding_size: features of a token; no part in real-valued sequences.
        embedding_dropout: dropout of whole token features, the same at all steps of a sequence.
        word_dropout: share of the tokens replaced by the unknown token in training.
        vectors: file of word vectors to begin with, in GloVe's text format, or that compressed by gzip; embedding_size
            is then what the file has.
        freeze_vectors: leave the vectors as they are that vectors or init_from gave.
        init_from: a run (its folder, or its name under runs/) or a checkpoint whose embedding and recurrent layers the
            training begins with, word by word where the vocabularies differ. A bidirectional model may have two: the
            second one, which was trained on the previous token, gives the backward direction.
        init_lr: learning rate of what init_from gave, as a share of that of all else.
        gradual_unfreezing: train in the first epoch only what is new, and in each further one a layer more, from the
            topmost one down to the embedding.
        dropout: dropout before the head's linear map.
        vocab_size: token ids; filled in from the data.
        input_size: features of a step; filled in from the data.
        num_classes: classes; filled in from the data.

    Raises:
        ValueError: a value is out of range, or a name is unknown.
    """

    embedding: TokenEmbedding
    recurrent: RecurrentStack
    head: nn.Sequential

    def __init__(
        self,
        cell: str = "lstm",
        hidden_size: int = 128,
        num_layers: int = 1,
        bidirectional: bool = False,
        residual: bool = False,
        prenorm: bool = False,
        layer_dropout: float = 0.0,
        locked_dropout: bool = False,
        weight_dropout: float = 0.0,
        projection_size: int | None = None,
        cell_options: dict[str, Any] | None = None,
        init: InitName = "default",
        embedding_size: int = 100,
        embedding_dropout: float = 0.0,
        word_dropout: float = 0.0,
        vectors: str | None = None,
        freeze_vectors: bool = False,
        init_from: str | list[str] | None = None,
        init_lr: float = 1.0,
        gradual_unfreezing: bool = False,
        dropout: float = 0.0,
        vocab_size: int | None = None,
        input_size: int | None = None,
        num_classes: int | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False)
        if num_classes is not None:
            if (vocab_size is None) == (input_size is None) or num_classes < 1:
                raise ValueError("vocab_size, input_size and num_classes are filled in from the data: leave them out")
            self.build()
            return
        self._check_beginning()
        # Built once for nothing, without memory, so that a wrong value is found before the data is prepared.
        with torch.device("meta"):
            self._network(vocab_size=2, input_size=None, num_classes=2)

    def sizes(self, facts: Facts) -> dict[str, int | None]:
        """Vocabulary or features, and the number of classes.

        Raises:
            ValueError: the data has no class for each step.
        """
        if not facts.per_step:
            raise ValueError(
                "this data has one target for each sequence, none for its steps: SequenceClassifier learns it"
            )
        if not facts.labels:
            raise ValueError("this data has the next token at each step, not a class: LanguageModel learns it")
        return {
            "vocab_size": None if facts.encoder is None else facts.encoder.vocab_size,
            "input_size": facts.input_size,
            "num_classes": len(facts.labels),
        }

    def build(self) -> None:
        """Makes the network and what is measured."""
        h = self.hparams
        for name, module in self._network(h["vocab_size"], h["input_size"], h["num_classes"]).items():
            self.add_module(name, module)
        self.val_metrics, self.test_metrics = (
            nn.ModuleDict({"loss": MeanLoss(), "accuracy": MeanLoss()}) for _ in range(2)
        )
        self.test_outcomes = Outcomes("nats", "right", "counts", "checksums")

    def _network(self, vocab_size: int | None, input_size: int | None, num_classes: int) -> dict[str, nn.Module]:
        h = self.hparams
        modules: dict[str, nn.Module] = {}
        if vocab_size is not None:
            input_size = h["embedding_size"]
            modules["embedding"] = make_embedding(h, vocab_size)
        assert input_size is not None
        recurrent = make_recurrent(h, input_size)
        return {**modules, "recurrent": recurrent, "head": make_head(recurrent.output_size, num_classes, h["dropout"])}

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Logits of each step's classes.

        Args:
            inputs: token ids (B, T) or features (B, T, D).
            lengths: valid steps of each sequence (B,) int64; None: all are.

        Returns:
            Logits (B, T, C); those beyond a length mean nothing.
        """
        x = inputs if self.hparams["vocab_size"] is None else self.embedding(inputs)
        output, _ = self.recurrent(x, lengths)
        logits: Tensor = self.head(output)
        return logits

    def end_losses(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Loss of each sequence's last labelled step alone (B,), and which step that is, counted from 1 (B,)."""
        padding = ~valid_steps(batch.lengths, batch.inputs.size(1))
        targets, ends = last_target(_targets(batch).masked_fill(padding, NO_LABEL), NO_LABEL)
        return self._outcomes(batch._replace(targets=targets))[0], ends

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Mean loss of a batch's labelled steps, in nats; its mean over the epoch's is logged as train_loss."""
        nats, _, counts = self._outcomes(batch)
        count = counts.sum()
        loss = nats.sum() / count.clamp(min=1)
        return self.weighed(loss, count, batch)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Adds a batch to val_loss and val_accuracy, both over labelled steps."""
        self._measure("val", self.val_metrics, batch)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Adds a batch to test_loss and test_accuracy, both over labelled steps."""
        self._measure("test", self.test_metrics, batch)

    def on_test_epoch_end(self) -> None:
        """Draws the intervals around the measurements of the whole test part, by whole sequences."""
        found = self.test_outcomes.compute()
        self.test_outcomes.reset()
        # A sequence without labels adds nothing; drawn alone it would have no mean.
        nats, right, counts = (found[name][found["counts"] > 0] for name in ("nats", "right", "counts"))
        means = {"test_loss": nats, "test_accuracy": right} if len(counts) else {}
        self.intervals = {name: of_mean(sums, counts) for name, sums in means.items()}
        steps = np.maximum(found["counts"], 1)
        self.keep_outcomes(
            found["rows"],
            loss=(found["nats"] / steps).tolist(),
            right=found["right"].astype(int).tolist(),
            steps=found["counts"].astype(int).tolist(),
            checksum=found["checksums"].astype(int).tolist(),
        )

    def predict_step(self, batch: Batch, batch_idx: int) -> list[StepLabels]:
        """The classes of each sequence's steps, labelled or not."""
        highest, classes = torch.softmax(self(batch.inputs, batch.lengths), 2).max(2)
        return [
            StepLabels([self.labels[index] for index in row[:length]], probabilities[:length])
            for row, probabilities, length in zip(
                classes.tolist(), highest.tolist(), batch.lengths.tolist(), strict=True
            )
        ]

    def predict_text(self, texts: Sequence[str], batch_size: int = 64) -> list[TokenLabels]:
        """The tokens of raw texts with their classes, text by text in their order.

        Args:
            texts: any strings; one without words has no tokens. Tokens that the model cuts off are left out.
            batch_size: texts that go through the network together.

        Raises:
            ValueError: the model was trained on features, not on text.
        """
        predictions: list[StepLabels] = self._of_texts(texts, batch_size)
        assert self.encoder is not None, "else there were no predictions"
        return [
            TokenLabels(tokens, *prediction)
            for tokens, prediction in zip(self.encoder.tokens(texts), predictions, strict=True)
        ]

    def _outcomes(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Of each sequence (B,): the loss of its labelled steps, summed, how many are right, and how many there are."""
        logits = self(batch.inputs, batch.lengths)
        # Padding has no label, whatever stands there.
        padding = ~valid_steps(batch.lengths, logits.size(1))
        targets = _targets(batch).masked_fill(padding, NO_LABEL)
        nats = functional.cross_entropy(
            logits.flatten(0, 1), targets.flatten(), ignore_index=NO_LABEL, reduction="none"
        ).view_as(targets)
        return nats.sum(1), (logits.argmax(2) == targets).sum(1), (targets != NO_LABEL).sum(1)

    def _measure(self, split: str, metrics: nn.ModuleDict, batch: Batch) -> None:
        nats, right, counts = self._outcomes(batch)
        count = counts.sum()
        for name, total in (("loss", nats.sum()), ("accuracy", right.sum())):
            metric = cast(MeanLoss, metrics[name])
            metric.update(total / count.clamp(min=1), count)
            self.log(f"{split}_{name}", metric, on_step=False, on_epoch=True)
        if split == "test":
            targets = _targets(batch)
            sums = checksums(targets, valid_steps(batch.lengths, targets.size(1)))
            self.test_outcomes.update(batch.rows, nats=nats, right=right, counts=counts, checksums=sums)


def _targets(batch: Batch) -> Tensor:
    assert batch.targets is not None, "a batch for training or scoring has targets"
    return batch.targets
