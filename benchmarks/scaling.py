"""How the training of an LSTM on token ids grows with the batch, the length, the width and the threads.

    python benchmarks/scaling.py

Each size is changed by itself, from 64 sequences of 256 steps, 128 hidden features and 1 thread; tokens are random and
without padding.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import torch
from side_by_side import Apart, Figure, filled, finish, in_turn, matrix_multiply, parser, peak_memory, seconds
from side_by_side import medians as medians_of

from rnn_lightning.cli.process import keep_memory

VOCAB_SIZE, EMBEDDING_SIZE = 25_002, 100
STEPS = 5


class Size(NamedTuple):
    """What is changed."""

    batch_size: int = 64
    num_steps: int = 256
    hidden_size: int = 128
    threads: int = 1


CHANGED = {"batch_size": (16, 64, 256), "num_steps": (64, 256, 1024), "hidden_size": (64, 128, 256, 512)}


class Step:
    """A training step of a SequenceClassifier, in a process as the command sets it up."""

    def __init__(self, size: Size) -> None:
        from rnn_lightning import SequenceClassifier

        keep_memory()
        torch.set_flush_denormal(True)
        torch.set_num_threads(size.threads)
        self.before = peak_memory()
        self.model = SequenceClassifier(
            hidden_size=size.hidden_size,
            embedding_size=EMBEDDING_SIZE,
            pooling="mean_max",
            vocab_size=VOCAB_SIZE,
            num_classes=2,
        )
        self.optimizer = torch.optim.AdamW(self.model.parameters(), fused=True)
        self.ids = torch.randint(2, VOCAB_SIZE, (size.batch_size, size.num_steps))
        self.lengths = torch.full((size.batch_size,), size.num_steps)
        self.targets = torch.randint(0, 2, (size.batch_size,))
        self.run()  # the first steps ask the system for memory

    def run(self) -> float:
        """Seconds of a step: the mean of some."""
        return seconds(lambda: [self._step() for _ in range(STEPS)]) / STEPS

    def memory(self) -> int:
        """Bytes at the peak, beyond those before there was a model."""
        return peak_memory() - self.before

    def peak(self) -> float:
        """Operations a second in a product of matrices, with as many threads."""
        return matrix_multiply()

    def _step(self) -> None:
        loss = self.model.losses(self.model(self.ids, self.lengths), self.targets).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


def main() -> None:
    """Measures, and prints a table."""
    options = filled(parser(__doc__).parse_args(), repeats=5)
    sizes = [Size(), Size(threads=2)]
    if not options.quick:
        sizes += [Size(**{name: value}) for name, values in CHANGED.items() for value in values]
        sizes.append(Size(hidden_size=512, threads=2))
    figures = []
    steps = {size: Apart(Step, size, GOMP_SPINCOUNT="1000") for size in dict.fromkeys(sizes)}
    times = in_turn({str(size): partial(step, "run") for size, step in steps.items()}, options.repeats)
    for size, took in zip(steps, medians_of(times).values(), strict=True):
        tokens = size.batch_size * size.num_steps
        operations = 3 * 2 * 4 * size.hidden_size * (EMBEDDING_SIZE + size.hidden_size) * tokens
        name = f"B {size.batch_size}, T {size.num_steps}, H {size.hidden_size}, threads {size.threads}"
        figures += [
            Figure(f"{name}: speed", tokens / took / 1000, unit="ktok/s"),
            Figure(f"{name}: share of the speed of a matrix product", operations / took / steps[size]("peak")),
            Figure(f"{name}: memory", steps[size]("memory") / 2**20, unit="MiB"),
        ]
    for step in steps.values():
        step.close()
    finish(options, figures)


if __name__ == "__main__":
    main()
