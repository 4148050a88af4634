"""What comes next? A probability for each token of the vocabulary, after every step of a text.

B texts, T steps, E features of a token, F features after the recurrent layers, V token ids. Padding, id 0, is never
predicted: the model has V - 1 logits, the first of them for id 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rnn_lightning import registry
from rnn_lightning.batch import PAD, UNKNOWN, Batch, Facts
from rnn_lightning.intervals import of_mean
from rnn_lightning.layers import RecurrentStack, StackState, TiedHead, TokenEmbedding, make_head
from rnn_lightning.layers.transformer import Transformer
from rnn_lightning.tasks.base import CHECKPOINT_KEY, SequenceTask, last_target
from rnn_lightning.tasks.carried_state import CarriedState
from rnn_lightning.tasks.generation import Drawing, after, random_numbers, written
from rnn_lightning.tasks.metrics import MeanLoss, Outcomes, Perplexity, checksums
from rnn_lightning.tasks.networks import InitName, make_embedding, make_recurrent
from rnn_lightning.tasks.scheduled_sampling import with_own_tokens

_NAMED = 5
"""Next tokens that a prediction names."""


class NextTokens(NamedTuple):
    """The most probable tokens to come after a text, with their probabilities."""

    tokens: list[str]
    probabilities: list[float]


class LanguageModel(SequenceTask):
    """Predicts each token of a text from all tokens before it, the true ones (teacher forcing).

    Where the data comes in streams, the state is carried from batch to batch, in training, validation and test apart.

    Args:
        cell: short name of the recurrent layer: rnn, lstm, gru, rnn_ln, lstm_ln, gru_ln, mingru, minlstm, qrnn, sru,
            slstm, transformer, or an installed package's own.
        hidden_size: features of each recurrent layer.
        num_layers: recurrent layers on top of each other.
        bidirectional: refused, since the backward direction would see the token that is to be predicted.
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
        embedding_size: features of a token.
        embedding_dropout: dropout of whole token features, the same at all steps of a text.
        word_dropout: share of the input tokens replaced by the unknown token in training.
        vectors: file of word vectors to begin with, in GloVe's text format, or that compressed by gzip; embedding_size
            is then what the file has.
        freeze_vectors: leave the vectors as they are that vectors or init_from gave.
        init_from: a run (its folder, or its name under runs/) or a checkpoint whose embedding and recurrent layers the
            training begins with, word by word where the vocabularies differ. A bidirectional model may have two: the
            second one, which was trained on the previous token, gives the backward direction.
        init_lr: learning rate of what init_from gave, as a share of that of all else.
        gradual_unfreezing: train in the first epoch only what is new, and in each further one a layer more, from the
            topmost one down to the embedding.
        dropout: dropout before the output layer.
        tie_embedding: the output layer uses the embedding's vectors.
        scheduled_sampling: share of the input tokens in training, except the first of each window, replaced by what the
            model would have written in their place. It grows with each step of the optimiser, from 0 at the first to
            this share at the end of the training. Each batch is then gone through step by step first, which takes time.
        vocab_size: token ids; filled in from the data.

    Raises:
        ValueError: a value is out of range, or a name is unknown.
    """

    embedding: TokenEmbedding
    recurrent: RecurrentStack
    head: nn.Module

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
        tie_embedding: bool = False,
        scheduled_sampling: float = 0.0,
        vocab_size: int | None = None,
    ) -> None:
        super().__init__()
        if bidirectional:
            raise ValueError("a language model cannot be bidirectional: it would see the token that it has to predict")
        if not 0 <= scheduled_sampling <= 1:
            raise ValueError(f"scheduled_sampling is {scheduled_sampling}; it must be at least 0 and at most 1")
        self.save_hyperparameters(logger=False)
        self._carried = CarriedState()
        if vocab_size is not None:
            self.build()
            return
        self._check_beginning()
        # Built once for nothing, without memory, so that a wrong value is found before the data is prepared.
        with torch.device("meta"):
            self._network(vocab_size=3)

    def sizes(self, facts: Facts) -> dict[str, int | None]:
        """The vocabulary.

        Raises:
            ValueError: the data is no text with its next token at each step, or it is in streams, and the state of
                the layers is not to be carried.
        """
        if facts.encoder is None or not facts.per_step or facts.labels:
            has = "one target for each sequence"
            if facts.per_step:
                has = "a class for each step: SequenceTagger learns it"
            raise ValueError(f"a language model learns to go on with a text: this data has {has}")
        if facts.streams and issubclass(registry.resolve("layers", self.hparams["cell"]), Transformer):
            raise ValueError(
                f"the state of a {self.hparams['cell']} grows with every step: it cannot be carried through streams"
            )
        return {"vocab_size": facts.encoder.vocab_size}

    def build(self) -> None:
        """Makes the network and what is measured."""
        for name, module in self._network(self.hparams["vocab_size"]).items():
            self.add_module(name, module)
        self.val_metrics, self.test_metrics = (
            nn.ModuleDict({"loss": MeanLoss(), "perplexity": Perplexity(), "unknown": MeanLoss()}) for _ in range(2)
        )
        self.test_outcomes = Outcomes("nats", "counts", "checksums")

    def _network(self, vocab_size: int) -> dict[str, nn.Module]:
        h = self.hparams
        embedding = make_embedding(h, vocab_size)
        recurrent = make_recurrent(h, h["embedding_size"])
        head: nn.Module = (
            TiedHead(embedding.vectors, recurrent.output_size, h["dropout"])
            if h["tie_embedding"]
            else make_head(recurrent.output_size, vocab_size - 1, h["dropout"])
        )
        return {"embedding": embedding, "recurrent": recurrent, "head": head}

    def forward(
        self, inputs: Tensor, lengths: Tensor | None = None, state: StackState | None = None
    ) -> tuple[Tensor, StackState]:
        """Logits of the token after each step.

        Args:
            inputs: token ids (B, T).
            lengths: valid steps of each text (B,) int64; None: all are.
            state: the state after what came before; None at the beginning of a text.

        Returns:
            Logits of the ids 1 to V - 1 (B, T, V - 1), and the state after each text's last step.
        """
        output, state = self.recurrent(self.embedding(inputs), lengths, state)
        return self.head(output), state

    def end_losses(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Loss of each text's last token alone (B,), and behind which step it stands, counted from 1 (B,)."""
        targets, ends = last_target(torch.as_tensor(batch.targets), PAD)
        return self._nats(batch._replace(targets=targets))[0], ends

    def on_fit_start(self) -> None:
        """As any task; and refuses to let something grow until an end that there is not.

        Raises:
            ValueError: scheduled sampling is wanted in an endless training.
        """
        super().on_fit_start()
        if self.hparams["scheduled_sampling"] > 0 and math.isinf(self.trainer.estimated_stepping_batches):
            raise ValueError(
                "scheduled_sampling grows until the end of the training, and this one has none: "
                "give trainer.max_epochs or max_steps"
            )

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Mean loss of a batch's tokens, in nats; its mean over the epoch's tokens is logged as train_loss."""
        if self._in_streams:
            n, rank, processes = self.trainer.num_training_batches, self.trainer.global_rank, self.trainer.world_size
            self._carried.resume(batch_idx, n, batch.inputs, rank, processes)
        if self.hparams["scheduled_sampling"] > 0:
            share = self.hparams["scheduled_sampling"] * self.trainer.global_step
            share /= self.trainer.estimated_stepping_batches
            state = self._before("train", batch_idx)
            batch = batch._replace(inputs=with_own_tokens(self, batch.inputs, state, share))
        nats, counts = self._of_part("train", batch, batch_idx)
        count = counts.sum()
        loss = nats.sum() / count.clamp(min=1)
        return self.weighed(loss, count, batch)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Adds a batch to val_loss, val_perplexity, and val_unknown, the share of unknown tokens."""
        self._measure("val", self.val_metrics, batch, batch_idx)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Adds a batch to test_loss, test_perplexity, and test_unknown, the share of unknown tokens."""
        self._measure("test", self.test_metrics, batch, batch_idx)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds, within an epoch of streams, the state that the next batch begins with."""
        super().on_save_checkpoint(checkpoint)
        if self._in_streams and not self.trainer.is_last_batch:
            saved = self._carried.saved(self.trainer.num_training_batches, self._of_all_processes)
            checkpoint[CHECKPOINT_KEY]["carried"] = saved

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """As any task; and within an epoch of streams, the state that the next batch begins with."""
        super().on_load_checkpoint(checkpoint)
        self._carried.restore(checkpoint[CHECKPOINT_KEY].get("carried"))

    def on_test_epoch_end(self) -> None:
        """Draws the intervals around the measurements of the whole test part."""
        found = self.test_outcomes.compute()
        self.test_outcomes.reset()
        # At their end, streams can be a step apart: the last window of some has no token.
        nats, counts = (found[name][found["counts"] > 0] for name in ("nats", "counts"))
        self.intervals = {"test_loss": of_mean(nats, counts), "test_perplexity": of_mean(nats, counts, np.exp)}
        self.keep_outcomes(
            found["rows"],
            loss=(found["nats"] / np.maximum(found["counts"], 1)).tolist(),
            tokens=found["counts"].astype(int).tolist(),
            checksum=found["checksums"].astype(int).tolist(),
        )

    def predict_step(self, batch: Batch, batch_idx: int) -> list[NextTokens]:
        """The most probable tokens after each text of the batch."""
        return self._most_probable(after(self, batch)[0])

    def predict_text(self, texts: Sequence[str], batch_size: int = 64) -> list[NextTokens]:
        """The most probable tokens after each text, in their order; never the unknown one.

        Args:
            texts: any strings; after an empty one, what comes after nothing.
            batch_size: texts that go through the network together.

        Raises:
            ValueError: a single string was given.
        """
        return self._of_texts(texts, batch_size)

    def generate(
        self,
        prompt: str,
        length: int = 100,
        temperature: float = 1.0,
        seed: int | None = None,
        top_k: int | None = None,
        top_p: float = 1.0,
    ) -> Iterator[str]:
        """Goes on writing after a prompt, token by token, one step of the network each.

        Args:
            prompt: what comes before.
            length: tokens to write.
            temperature: the logits are divided by it before a token is drawn; at 0 it is the most probable one.
            seed: makes the drawing repeatable.
            top_k: only so many of the most probable tokens can be drawn; None: all can.
            top_p: only the fewest most probable tokens can be drawn that reach this probability together, of those that
                top_k leaves.

        Returns:
            The pieces of text that follow the prompt, each made when it is asked for.

        Raises:
            ValueError: the prompt has no token, or a number is out of range.
        """
        if length < 0:
            raise ValueError(f"length is {length}; it must be at least 0")
        drawing, random = Drawing(temperature, top_k, top_p), random_numbers(seed)
        batch = self._encoder().batch([prompt])
        if batch.lengths.item() == 0:
            raise ValueError("the prompt is empty: there is nothing to go on from")
        return written(self, batch, length, drawing, random)

    def _encoder(self) -> Any:
        assert self.encoder is not None, "a trained language model has a text encoder"
        return self.encoder

    def _most_probable(self, logits: Tensor) -> list[NextTokens]:
        words = self._encoder().words
        highest, indices = torch.softmax(logits, 1).topk(min(_NAMED, len(words)), 1)
        # Logit 0 is the unknown token's; that of the vocabulary's first word follows it.
        return [
            NextTokens([words[index - 1] for index in row], probabilities)
            for row, probabilities in zip(indices.tolist(), highest.tolist(), strict=True)
        ]

    @property
    def _in_streams(self) -> bool:
        """Whether a batch of the data at work goes on where the one before ended."""
        facts = getattr(getattr(self._trainer, "datamodule", None), "facts", None)
        return facts is not None and facts.streams

    def _before(self, part: str, batch_idx: int) -> StackState | None:
        return self._carried.before(part, batch_idx) if self._in_streams else None

    def _of_part(self, part: str, batch: Batch, batch_idx: int) -> tuple[Tensor, Tensor]:
        """Loss and number of each text's tokens (B,), the state carried where the data is in streams."""
        nats, counts, state = self._nats(batch, self._before(part, batch_idx))
        if self._in_streams:
            self._carried.keep(part, state)
        return nats, counts

    def _nats(self, batch: Batch, state: StackState | None = None) -> tuple[Tensor, Tensor, StackState]:
        """Loss of each text, summed over its tokens (B,), in nats, how many they are (B,), and the state after them."""
        assert batch.targets is not None, "a batch for training or scoring has targets"
        logits, after_all = self(batch.inputs, batch.lengths, state)
        targets = batch.targets - 1
        nats = functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=PAD - 1, reduction="none")
        return nats.view_as(targets).sum(1), (targets != PAD - 1).sum(1), after_all

    def _measure(self, split: str, metrics: nn.ModuleDict, batch: Batch, batch_idx: int) -> None:
        nats, counts = self._of_part(split, batch, batch_idx)
        count = counts.sum()
        loss = nats.sum() / count.clamp(min=1)
        unknown = (torch.as_tensor(batch.targets) == UNKNOWN).sum() / count.clamp(min=1)
        for name, value in (("loss", loss), ("perplexity", loss), ("unknown", unknown)):
            metric = cast(MeanLoss, metrics[name])
            metric.update(value, count)
            self.log(f"{split}_{name}", metric, on_step=False, on_epoch=True)
        if split == "test":
            targets = torch.as_tensor(batch.targets)
            sums = checksums(targets, targets != PAD)
            self.test_outcomes.update(batch.rows, nats=nats, counts=counts, checksums=sums)
