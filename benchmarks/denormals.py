"""Numbers below 1e-38: what a training step costs with them, and flushed to zero as the command has them.

    python benchmarks/denormals.py

A loss on the last state reaches the early steps only through all the later ones, and its gradient decays on the way.
Where it falls below 1e-38, many processors compute in microcode, others as fast as ever: which kind this one is, is
measured too, and only of the slow kind a gain is demanded. The setting holds for a thread and those it starts: each way
is in a process of its own.
"""

from __future__ import annotations

from functools import partial

import torch
from side_by_side import Apart, Figure, filled, finish, in_turn, medians, parser, ratio, seconds
from torch import nn
from torch.nn import functional

from rnn_lightning.layers import LSTM, Pooling, TokenEmbedding

VOCAB_SIZE = 25_002
LAST = "last state, torch's initial weights"
CASES = {LAST: ("last", True), "last state, ours": ("last", False), "mean, ours": ("mean", False)}
"""Pooling, and whether the weights begin as torch's do."""
QUICK = (LAST, "mean, ours")
SLOW = 3.0
"""How many times as long a product of denormal matrices takes on a processor of the slow kind, at the least."""


class Step(nn.Module):
    """A training step on random tokens, without padding."""

    def __init__(self, pooling: str, as_torch: bool, flush: bool, threads: int, num_steps: int, size: int) -> None:
        super().__init__()
        torch.set_num_threads(threads)
        torch.set_flush_denormal(flush)
        torch.manual_seed(0)
        self.embedding = TokenEmbedding(VOCAB_SIZE, 100)
        self.lstm = LSTM(100, 2 * size)
        self.pooling = Pooling(pooling, 2 * size)
        self.linear = nn.Linear(2 * size, 1)
        if as_torch:
            for weight in self.lstm.parameters():
                nn.init.uniform_(weight, -((2 * size) ** -0.5), (2 * size) ** -0.5)
        self.ids = torch.randint(2, VOCAB_SIZE, (size, num_steps))
        self.targets = torch.randint(2, (size,)).float()
        self.matrix = torch.full((512, 512), 1e-3)

    def run(self) -> float:
        """Seconds of forward and backward, always from the same weights."""
        return seconds(self._step)

    def denormal(self) -> float:
        """Seconds of a product of matrices, one of which has numbers below 1e-38."""
        return seconds(lambda: torch.mm(1e-37 * self.matrix, self.matrix))

    def normal(self) -> float:
        """Seconds of the same product with numbers as they mostly are."""
        return seconds(lambda: torch.mm(1e-3 * self.matrix, self.matrix))

    def _step(self) -> None:
        self.zero_grad()
        output, _ = self.lstm(self.embedding(self.ids))
        logits = self.linear(self.pooling(output)).squeeze(1)
        functional.binary_cross_entropy_with_logits(logits, self.targets).backward()


def main() -> None:
    """Measures, and prints a table."""
    made = parser(__doc__)
    made.add_argument("--num_steps", type=int, default=256)
    made.add_argument("--size", type=int, default=64, help="sequences of the batch, and half of the hidden features")
    options = filled(made.parse_args(), repeats=7)
    sizes = (options.threads, options.num_steps, options.size)
    cases = {name: case for name, case in CASES.items() if name in QUICK or not options.quick}
    steps = {
        f"{name}, {kept}": Apart(Step, *case, kept == "flushed", *sizes)
        for name, case in cases.items()
        for kept in ("kept", "flushed")
    }
    times = in_turn({name: partial(step, "run") for name, step in steps.items()}, options.repeats)
    products = in_turn({name: partial(steps[f"{LAST}, kept"], name) for name in ("denormal", "normal")}, 9)
    for step in steps.values():
        step.close()
    penalty = ratio(products, "denormal", "normal")
    floors = {LAST: 4.0 if penalty > SLOW else None, "mean, ours": 0.95}
    figures = [Figure("a product of matrices takes longer with numbers below 1e-38 by", penalty)]
    for name in cases:
        gain = ratio(times, f"{name}, kept", f"{name}, flushed")
        figures.append(Figure(f"{name}: flushing is faster by", gain, floors.get(name)))
    finish(options, figures + [Figure(name, 1000 * took, unit="ms") for name, took in medians(times).items()])


if __name__ == "__main__":
    main()
