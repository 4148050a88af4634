"""What the tests of the tasks share: models of known data, data made of given batches, a silent Trainer."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import lightning.pytorch as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from rnn_lightning import Facts, LanguageModel, SequenceClassifier, SequenceTagger, TextEncoder
from rnn_lightning.batch import PAD, Batch

Task = TypeVar("Task", bound=pl.LightningModule)
TWO = ("no", "yes")
FIVE = ("a", "b", "c", "d", "e")
WORDS = ("good", "bad", "schön", "電", "😀", "film")
ENCODER = TextEncoder(WORDS, max_length=6, truncate="head_tail")


def feature_model(labels: tuple[str, ...] = TWO, input_size: int = 3, **options: Any) -> SequenceClassifier:
    """A model of sequences of numbers, built as training builds it, in eval mode."""
    return _adopted(Facts(input_size, labels), options)


def text_model(labels: tuple[str, ...] = TWO, encoder: TextEncoder = ENCODER, **options: Any) -> SequenceClassifier:
    """A model of texts, built as training builds it, in eval mode."""
    return _adopted(Facts(None, labels, encoder), {"embedding_size": 5, **options})


LETTERS = TextEncoder("abcdefgh", unit="spaced_word")
LETTER_FACTS = Facts(None, (), LETTERS, per_step=True)


def language_model(facts: Facts = LETTER_FACTS, **options: Any) -> LanguageModel:
    """A language model with weights large enough to be sure of something, in eval mode."""
    torch.manual_seed(0)
    model = LanguageModel(**{"hidden_size": 6, "embedding_size": 5, **options})
    model.adopt(facts)
    for parameter in model.parameters():
        parameter.data.normal_()
    model.embedding.vectors.weight.data[PAD] = 0.0
    model.is_trained = True  # as good as any other weights here
    return model.eval()


def tagger(facts: Facts, **options: Any) -> SequenceTagger:
    """A model of steps with weights large enough to be sure of something, in eval mode."""
    torch.manual_seed(0)
    model = SequenceTagger(**{"hidden_size": 4, "embedding_size": 5, **options})
    model.adopt(facts)
    for parameter in model.parameters():
        parameter.data.normal_()
    if facts.encoder is not None:
        model.embedding.vectors.weight.data[PAD] = 0.0
    model.is_trained = True  # as good as any other weights here
    return model.eval()


def _adopted(facts: Facts, options: dict[str, Any]) -> SequenceClassifier:
    torch.manual_seed(0)
    model = SequenceClassifier(**{"hidden_size": 4, **options})
    model.adopt(facts)
    model.is_trained = True  # as good as any other weights here
    return model.eval()


def features(*lengths: int, input_size: int = 3, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Padded random sequences (B, T, D) of these lengths, and the lengths."""
    random = torch.Generator().manual_seed(seed)
    x = torch.randn(len(lengths), max(lengths), input_size, generator=random)
    x[torch.arange(max(lengths)) >= torch.tensor(lengths).unsqueeze(1)] = 0.0
    return x, torch.tensor(lengths)


def loader(batches: list[Batch]) -> DataLoader[Batch]:
    """Gives the batches as they are, one after the other."""
    return DataLoader(batches, batch_size=None)  # type: ignore[arg-type]  # a list is a data set


class Batches(pl.LightningDataModule):
    """Data of given batches, the same in all parts."""

    def __init__(self, facts: Facts, batches: list[Batch]) -> None:
        super().__init__()
        self.facts = facts
        self.batches = batches

    def train_dataloader(self) -> DataLoader[Batch]:
        return loader(self.batches)

    val_dataloader = test_dataloader = predict_dataloader = train_dataloader


def still(model: Task) -> Task:
    """The model with no optimiser: training leaves its weights as they are."""
    model.configure_optimizers = lambda: None  # type: ignore[method-assign]
    return model


def silent_trainer(**options: Any) -> pl.Trainer:
    """A Trainer on one CPU that prints and writes nothing unless it is told to."""
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    return pl.Trainer(**{**quiet, "accelerator": "cpu", "devices": 1, "enable_model_summary": False, **options})


def saved(model: pl.LightningModule, path: Path) -> Path:
    """Writes the model's checkpoint as training does."""
    trainer = silent_trainer()
    trainer.strategy.connect(model)
    trainer.save_checkpoint(path)
    return path
