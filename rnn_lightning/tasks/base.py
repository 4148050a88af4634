"""What every task shares: it learns its sizes from the data, and its checkpoints stand by themselves."""

from __future__ import annotations

import json
import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from types import MappingProxyType
from typing import Any, cast

import lightning.pytorch as pl
import numpy as np
import torch
import torch.distributed
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from rnn_lightning import registry, resuming
from rnn_lightning.batch import NO_ROW, Batch, Facts, pad_ragged
from rnn_lightning.intervals import Interval
from rnn_lightning.layers import TokenEmbedding
from rnn_lightning.scaling import Scaling
from rnn_lightning.tasks import transfer
from rnn_lightning.tasks.epoch_loss import EpochLoss
from rnn_lightning.tasks.metrics import MeanLoss
from rnn_lightning.text import TextEncoder
from rnn_lightning.vectors import read_vectors, vector_size

_log = logging.getLogger("rnn_lightning")

CHECKPOINT_KEY = "rnn_lightning"
_LEARNT: dict[str, tuple[Any, str]] = {
    "encoder": (TextEncoder, "vocabulary is"),
    "scaling": (Scaling, "scaling is"),
    "target_scaling": (Scaling, "scaling of the targets is"),
}
"""What a model takes over from its data beside the labels: by attribute its class, and what it is called."""


class SequenceTask(pl.LightningModule, ABC):
    """A LightningModule whose network is built from its hyper-parameters and the facts of its data.

    The hyper-parameters are plain numbers and words. Sizes that only the data knows are filled in when training begins;
    the labels' names and the text encoder are kept in the state dict. So a checkpoint alone gives back a working model.

    Attributes:
        labels: names of the classes; empty where the targets are numbers or tokens.
        encoder: turns raw text into token ids; None where the inputs are features.
        scaling: brings raw features to what the network takes; None where they are taken as they come.
        target_scaling: mean and deviation of targets that are numbers; None where they are learnt as they come.
        intervals: after a test, the 95 % interval around each measurement.
        outcomes: after a test, what came out for each sequence, by what it is called, in the order of the data; empty
            where that order is not known, or not all came in.
        is_trained: the weights come from a training or a checkpoint; others are not scored.
    """

    labels: tuple[str, ...] = ()
    encoder: TextEncoder | None = None
    scaling: Scaling | None = None
    target_scaling: Scaling | None = None
    intervals: Mapping[str, Interval] = MappingProxyType({})
    outcomes: Mapping[str, Sequence[Any]] = MappingProxyType({})
    is_trained: bool = False
    _from_data: Mapping[str, int | None] = MappingProxyType({})

    def __init__(self) -> None:
        super().__init__()
        self.train_loss = MeanLoss()
        self._epoch_loss = EpochLoss()
        self._seed = 0
        self._random_state: Tensor | None = None
        self._resumed: dict[str, Any] | None = None

    @abstractmethod
    def build(self) -> None:
        """Makes the network; all sizes are in the hyper-parameters."""

    @abstractmethod
    def sizes(self, facts: Facts) -> dict[str, int | None]:
        """The hyper-parameters that the facts decide."""

    @abstractmethod
    def predict_text(self, texts: Sequence[str]) -> list[Any]:
        """A named tuple for each raw text, in their order.

        Raises:
            ValueError: the model was trained on features, not on text.
        """

    @property
    def is_built(self) -> bool:
        """Whether the network has been made."""
        return next(self.parameters(), None) is not None

    def configure_model(self) -> None:
        """Builds the network for the data at hand, or checks that the one there is fits it.

        Raises:
            ValueError: the model was trained on data of another kind.
        """
        datamodule = getattr(self._trainer, "datamodule", None)  # no Trainer where Lightning loads a checkpoint
        facts = getattr(datamodule, "facts", None)
        if facts is None:
            if self.is_built:
                return
            raise ValueError(
                f"{type(self).__name__} needs a data module that says its facts (rnn_lightning.batch.Facts)"
            )
        if not self.is_built:
            self.adopt(facts)
        elif (
            self.sizes(facts) != {name: self.hparams[name] for name in self.sizes(facts)} or self.labels != facts.labels
        ):
            raise ValueError(
                f"the model was trained on {_in_words(self.hparams, self.labels)}; "
                f"the data has {_in_words(self.sizes(facts), facts.labels)}"
            )
        elif self.scaling != facts.scaling:
            raise ValueError("the model was trained on features that were scaled otherwise than those of this data")

    def keep_outcomes(self, rows: np.ndarray[Any, Any], **columns: Sequence[Any]) -> None:
        """Keeps what came out for each sequence of the test part.

        Args:
            rows: which sequences came in (S,), sorted; each once, if they are all of them.
            columns: what is kept, by what it is called; S values each.
        """
        self.outcomes = columns if np.array_equal(rows, np.arange(len(rows))) else {}

    def add_train_loss(self, loss: Tensor, count: Tensor | int) -> None:
        """Counts a batch towards train_loss, the mean over the epoch, which is logged once: logging takes its time.

        Args:
            loss: mean loss of the batch.
            count: of how many sequences or tokens it is the mean.
        """
        self._epoch_loss.add(loss, count)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Begins an epoch's train_loss, and gives the batch random numbers that depend on nothing but its place."""
        if batch_idx == 0:
            self._epoch_loss.begin()
        resuming.seed_batch(self.device, self._seed, self.current_epoch, batch_idx, self.global_rank)

    def weighed(self, loss: Tensor, count: Tensor | int, batch: Batch, measured: Tensor | None = None) -> Tensor:
        """Counts a batch towards train_loss, and returns its loss as it weighs among those of the other processes.

        What processes train with is the mean of their gradients: that of a mean over all their sequences or tokens
        comes of it where each has as much weight as it has of them.

        Args:
            loss: mean loss of the batch.
            count: of how many sequences or tokens it is the mean.
            batch: the batch; one that is there only so that each process has one counts nothing.
            measured: what train_loss is of, where more than that is learnt from.
        """
        measured = loss if measured is None else measured
        if not torch.distributed.is_available() or not torch.distributed.is_initialized():
            self.add_train_loss(measured, count)
            return loss
        own = torch.ones((), dtype=torch.long, device=loss.device) * count
        if batch.rows is not None:
            own = own * (batch.rows != NO_ROW).any()
        self.add_train_loss(measured, own)
        everyone = own.clone()
        torch.distributed.all_reduce(everyone)
        return loss * (torch.distributed.get_world_size() * own / everyone.clamp(min=1))

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Logs train_loss at the end of an epoch, or where the training ends within one."""
        trainer = self.trainer
        if trainer.is_last_batch or trainer.should_stop or 0 < trainer.max_steps <= trainer.global_step:
            self._log_train_loss()

    def _log_train_loss(self) -> None:
        if mean := self._epoch_loss.mean():
            self.train_loss.reset()
            self.train_loss.update(*mean)
            self.log("train_loss", self.train_loss, on_step=False, on_epoch=True)

    def adopt(self, facts: Facts) -> None:
        """Fills in what the facts decide and builds the network."""
        self._from_data = self.sizes(facts)
        self.hparams.update(self._from_data)
        self.labels = facts.labels
        self.encoder = facts.encoder
        self.scaling, self.target_scaling = facts.scaling, facts.target_scaling
        self.build()
        if self.hparams.get("vectors") is not None:
            self._start_from_vectors(self.hparams["vectors"])

    def _check_beginning(self) -> None:
        """Looks at what the model begins with, and takes the embedding's size from the file of vectors, if any."""
        transfer.check_options(self.hparams)
        if self.hparams["vectors"] is not None:
            self.hparams["embedding_size"] = vector_size(self.hparams["vectors"])
        elif self.hparams["freeze_vectors"] and not self.hparams["init_from"]:
            raise ValueError("freeze_vectors is true, but no vectors are named: random ones would never be trained")

    def _start_from_vectors(self, path: str) -> None:
        """Gives the embedding the vectors of a file, and says how many of the words it knows."""
        if self.encoder is None:
            raise ValueError(f"this data has features, not words: the vectors of {path} have no part in it")
        words = self.encoder.words
        values, known = read_vectors(path, words)
        embedding = self.get_submodule("embedding")
        assert isinstance(embedding, TokenEmbedding), "a task that takes vectors has an embedding of tokens"
        embedding.start_from(torch.from_numpy(values), torch.from_numpy(known))
        rank_zero_only(_log.info)(
            "%s: vectors of %d numbers, known for %s of the %s words of the vocabulary (%.1f %%)",
            *(path, values.shape[1], f"{known.sum():,}", f"{len(words):,}", 100 * known.mean()),
        )

    def predict_series(self, series: Sequence[Any], batch_size: int = 64) -> list[Any]:
        """What `predict_step` says of raw sequences of numbers, in their order.

        Args:
            series: arrays (T, D), each of its own length, unscaled, with the columns of the training data.
            batch_size: sequences that go through the network together.

        Raises:
            ValueError: the model was trained on text, or a sequence has another number of features, or something in it
                is not a finite number.
        """
        size = self.hparams.get("input_size")
        if size is None:
            raise ValueError("this model was trained on text: it reads no sequences of numbers")
        arrays = [np.asarray(sequence, np.float64) for sequence in series]
        names = "" if self.scaling is None else f": {', '.join(self.scaling.names)}"
        for index, array in enumerate(arrays):
            if array.ndim != 2 or array.shape[1] != size:
                raise ValueError(f"sequence {index} has the shape {array.shape}, not (steps, {size}){names}")
            if not np.isfinite(array).all():
                raise ValueError(f"sequence {index} has something in it that is not a finite number")

        def batch(rows: list[int]) -> Batch:
            sizes = np.array([len(arrays[row]) for row in rows])
            values = np.concatenate([arrays[row] for row in rows])
            scaled = values.astype(np.float32) if self.scaling is None else self.scaling.apply(values)
            inputs, lengths = pad_ragged(scaled, np.cumsum(sizes) - sizes, sizes)
            return Batch(torch.from_numpy(inputs), torch.from_numpy(lengths))

        return self._in_batches([len(array) for array in arrays], batch, batch_size)

    def _of_texts(self, texts: Sequence[str], batch_size: int) -> list[Any]:
        """What `predict_step` says of raw texts, in their order.

        Raises:
            ValueError: the model was trained on features, or this is a single text.
        """
        encoder = self.encoder
        if encoder is None:
            raise ValueError("this model was trained on sequences of numbers: it reads no text")
        if isinstance(texts, str):
            raise ValueError("predict_text takes a list of texts, not a single one: write predict_text([text])")
        return self._in_batches(
            [len(text) for text in texts], lambda rows: encoder.batch([texts[row] for row in rows]), batch_size
        )

    @torch.inference_mode()
    def _in_batches(self, lengths: list[int], batch: Callable[[list[int]], Batch], batch_size: int) -> list[Any]:
        """What `predict_step` says of sequences of about these lengths, in their order."""
        was_training = self.training
        self.eval()
        # Those of similar length together, as in training: less padding, and no other result.
        order = sorted(range(len(lengths)), key=lambda index: lengths[index])
        found: dict[int, Any] = {}
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            some = batch(rows)
            predictions = self.predict_step(Batch(some.inputs.to(self.device), some.lengths.to(self.device)), 0)
            found.update(zip(rows, predictions, strict=True))
        self.train(was_training)
        return [found[index] for index in range(len(lengths))]

    def configure_optimizers(self) -> Any:
        """AdamW with the command's defaults; `--optimizer` puts another in its place."""
        return transfer.made_with_shares(self, partial(torch.optim.AdamW, lr=3e-3, weight_decay=0.01))

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        """Leaves as it is what is not trained yet."""
        if self.hparams.get("gradual_unfreezing"):
            transfer.hold_back(self, self.current_epoch)

    def on_fit_start(self) -> None:
        """Begins with what other models have learnt, unless the weights come from a checkpoint already."""
        if (paths := self.hparams.get("init_from")) and not self.is_trained:
            transfer.start_from(self, [paths] if isinstance(paths, str) else paths)

    def on_train_start(self) -> None:
        """From here on the weights are trained ones; those of a checkpoint are trained as if without interruption."""
        self.is_trained = True
        self._seed = int(os.environ.get("PL_GLOBAL_SEED") or torch.initial_seed())  # as of the batches' order
        self._random_state = torch.get_rng_state()
        resumed, self._resumed = self._resumed, None
        if resumed is not None:
            resuming.go_on(self.trainer, resumed)
            self._epoch_loss.restore(resumed["train_loss"], self.device, self.global_rank, self.trainer.world_size)
            if resumed["is_last_batch"]:
                self._log_train_loss()

    def on_train_end(self) -> None:
        """Leaves the random numbers as they were: else two trainings, one after the other, could begin alike."""
        if self._random_state is not None:
            torch.set_rng_state(self._random_state)

    def on_validation_start(self) -> None:
        """Refuses to score random weights; within a training, validation may come before the first step."""
        if self.trainer.state.fn != TrainerFn.FITTING:
            self._refuse_random_weights()

    def on_test_start(self) -> None:
        """Refuses to score random weights."""
        self._refuse_random_weights()

    def on_predict_start(self) -> None:
        """Refuses to predict with random weights."""
        self._refuse_random_weights()

    def _refuse_random_weights(self) -> None:
        if not self.is_trained:
            raise ValueError("this model has not been trained: its weights are random, and so would be what it says")

    def get_extra_state(self) -> Tensor:
        """What was learnt from the data as a tensor of JSON, which loads everywhere without unpickling code."""
        content = {"labels": self.labels, **{name: _state(getattr(self, name)) for name in _LEARNT}}
        text = json.dumps(content)
        return torch.frombuffer(bytearray(text, "utf-8"), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        """Takes back what `get_extra_state` gave.

        Raises:
            ValueError: the model already has another text encoder, scaling or labels, those of its data.
        """
        content = json.loads(bytes(state.cpu().numpy()).decode("utf-8"))
        learnt: dict[str, Any] = {"labels": tuple(content["labels"])}
        for name, (kind, _) in _LEARNT.items():
            # Checkpoints of an earlier version have no scaling.
            learnt[name] = None if content.get(name) is None else kind.from_state(content[name])
        for name, (_, what) in {"labels": (None, "labels are"), **_LEARNT}.items():
            own = getattr(self, name)
            if (own or self._from_data) and learnt[name] != own:
                raise ValueError(f"the checkpoint's {what} not the one of this data: training cannot go on with it")
        for name, value in learnt.items():
            setattr(self, name, value)
        self.is_trained = True

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Checks that the checkpoint's weights fit this model and its data.

        Raises:
            ValueError: a weight is missing, or has another shape, or the data has other sizes.
        """
        own = {name: value.shape for name, value in self.state_dict().items() if name != "_extra_state"}
        for name, shape in own.items():
            saved = checkpoint["state_dict"].get(name)
            if saved is None or saved.shape != shape:
                there = "is missing" if saved is None else f"is {tuple(saved.shape)}"
                raise ValueError(
                    f"the checkpoint is of another model: {name} {there} there and {tuple(shape)} here; "
                    "a training goes on with the options it began with (its run's config.yaml)"
                )
        for name, size in self._from_data.items():
            if (before := checkpoint["hyper_parameters"].get(name)) != size:
                raise ValueError(f"the checkpoint is of other data: {name} is {before} there and {size} here")
        if self._is_fitting:
            self._resumed = checkpoint[CHECKPOINT_KEY].get("training")

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Names the task, what a reader of the checkpoint needs beside us, and the optimiser that could go on."""
        task = type(self).__name__
        needed = {
            registry.source("tasks", task),
            registry.source("layers", self.hparams.get("cell", "")),
        } - {None}
        optimizers = [] if self._trainer is None else self._trainer.optimizers
        checkpoint[CHECKPOINT_KEY] = {
            "task": task,
            "plugins": sorted(str(name) for name in needed),
            "optimizer": next((type(optimizer).__name__ for optimizer in optimizers), None),
            "version": version("rnn-lightning"),
        }
        if self._is_fitting:
            checkpoint[CHECKPOINT_KEY]["training"] = {
                **resuming.state(self.trainer, checkpoint),
                "train_loss": self._epoch_loss.saved(self.device, self._of_all_processes),
            }

    @property
    def _is_fitting(self) -> bool:
        return self._trainer is not None and self._trainer.state.fn == TrainerFn.FITTING

    def _of_all_processes(self, tensor: Tensor) -> Tensor:
        """From (B, ...) of each process to those of all, one after the other."""
        return cast(Tensor, self.all_gather(tensor)).view(-1, *tensor.shape[1:])


def last_target(targets: Tensor, none: int) -> tuple[Tensor, Tensor]:
    """What remains where each sequence has a target at one step only, the last that had one.

    Args:
        targets: one a step (B, T).
        none: what stands where a step has no target.

    Returns:
        The targets (B, T), and the step that has one, counted from 1, or 0 where none has (B,).
    """
    steps = torch.arange(1, targets.size(1) + 1, device=targets.device)
    ends = torch.where(targets != none, steps, 0).amax(1)
    return targets.masked_fill(steps != ends.unsqueeze(1), none), ends


def _state(learnt: TextEncoder | Scaling | None) -> dict[str, Any] | None:
    return None if learnt is None else learnt.state()


def _in_words(sizes: Any, labels: tuple[str, ...]) -> str:
    inputs = "text" if sizes.get("input_size") is None else f"sequences of {sizes['input_size']} features"
    if "num_classes" not in sizes and sizes.get("vocab_size") is not None:
        return f"{inputs} of {sizes.get('vocab_size')} token ids"
    targets = f"the classes {', '.join(labels)}" if labels else "numbers as targets"
    return f"{inputs} and {targets}"
