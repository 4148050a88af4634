"""Going on with a text: how the next token is drawn, and one step of the network after the other.

B texts, V token ids; logits are those of the ids 1 to V - 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from rnn_lightning.batch import UNKNOWN, Batch
from rnn_lightning.layers import StackState

if TYPE_CHECKING:
    from rnn_lightning.tasks.language_model import LanguageModel

_SEEDS = 2**63
"""Seeds that a generator of random numbers takes."""


@dataclass(frozen=True)
class Drawing:
    """How a token is drawn from the logits: first the temperature, then top-k, then top-p.

    Attributes:
        temperature: the logits are divided by it; at 0 the most probable token is taken.
        top_k: only so many of the most probable tokens can be drawn; None: all can.
        top_p: only the fewest most probable tokens can be drawn that reach this probability together, of those that
            top_k leaves (nucleus sampling, Holtzman et al. 2020, https://arxiv.org/abs/1904.09751).

    Raises:
        ValueError: a number is out of range.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < math.inf:
            raise ValueError(f"temperature is {self.temperature}; it must be at least 0, and finite")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k is {self.top_k}; it must be at least 1")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p is {self.top_p}; it must be above 0 and at most 1")

    def probabilities(self, logits: Tensor) -> Tensor:
        """Of each id from 1 on (V - 1,); at a temperature above 0."""
        # The highest becomes 0, so that however low the temperature is, nothing overflows.
        probabilities = torch.softmax((logits - logits.max()).double() / self.temperature, 0)
        if self.top_k is None and self.top_p == 1:
            return probabilities
        order = probabilities.argsort(descending=True, stable=True)[: self.top_k]
        kept = probabilities[order] / probabilities[order].sum()
        if self.top_p < 1:
            more_probable = torch.cat((kept.new_zeros(1), kept.cumsum(0)[:-1]))
            kept = kept.masked_fill(more_probable >= self.top_p, 0.0)
        return torch.zeros_like(probabilities).scatter(0, order, kept / kept.sum())

    def drawn(self, logits: Tensor, random: torch.Generator) -> int:
        """A token id, from logits (V - 1,)."""
        if self.temperature == 0:
            return int(logits.argmax()) + 1
        return int(torch.multinomial(self.probabilities(logits), 1, generator=random)) + 1


def random_numbers(seed: int | None) -> torch.Generator:
    """The source of a text's random numbers, others each time where there is no seed.

    Raises:
        ValueError: the seed is out of range.
    """
    if seed is not None and not 0 <= seed < _SEEDS:
        raise ValueError(f"seed is {seed}; it must be at least 0 and below {_SEEDS}")
    random = torch.Generator()
    if seed is None:
        random.seed()
    else:
        random.manual_seed(seed)
    return random


def after(model: LanguageModel, batch: Batch) -> tuple[Tensor, StackState]:
    """Logits of what comes after each text (B, V - 1), the unknown token impossible, and the state (B, ...)."""
    lengths = batch.lengths.to(model.device)
    output, state = model.recurrent(model.embedding(batch.inputs.to(model.device)), lengths)
    rows = torch.arange(len(output), device=model.device)
    return without_unknown(model.head(output[rows, (lengths - 1).clamp(min=0)])), state


@torch.inference_mode()
def written(
    model: LanguageModel, prompt: Batch, length: int, drawing: Drawing, random: torch.Generator
) -> Iterator[str]:
    """The pieces of text that follow a prompt, of which only the state of the network is kept."""
    assert model.encoder is not None, "a trained language model has a text encoder"
    was_training = model.training
    model.eval()
    try:
        before = int(prompt.inputs[0, -1])
        logits, state = after(model, prompt)
        for _ in range(length):
            index = drawing.drawn(logits[0].cpu(), random)
            yield model.encoder.piece(index, before)
            embedded = model.embedding(torch.tensor([[index]], device=model.device))
            output, state = model.recurrent.step(embedded[:, 0], state)
            logits, before = without_unknown(model.head(output)), index
    finally:
        model.train(was_training)


def without_unknown(logits: Tensor) -> Tensor:
    """The unknown token is never the answer: it stands for words that the model does not have; logits (B, V - 1)."""
    return torch.cat((torch.full_like(logits[:, :UNKNOWN], -torch.inf), logits[:, UNKNOWN:]), 1)
