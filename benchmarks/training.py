"""Training and inference on film reviews, beside plain torch and beside what many tutorials do.

    python benchmarks/training.py

All have an LSTM of 128 on embeddings of 100, reviews of at most 256 words and batches of 64:

rnn-lightning      SequenceClassifier, batches of similar length, fused AdamW, and a process as the command sets it up
without set-up     the same in a process as it comes: memory goes back to the system, denormals stay
bare loop          the first by hand in torch, padded and exact
packed             the bare loop with pack_padded_sequence in place of padding
tutorial           packed batches at random, the last state, Adam as it comes, a process as it comes

Each is in a process of its own and computes on the same reviews, in turn. What counts is the time for all of them.
"""

from __future__ import annotations

from argparse import Namespace
from functools import partial

import torch
from reviews import reviews, tokens, typical
from side_by_side import Apart, Figure, filled, finish, in_turn, matrix_multiply, medians, parser, peak_memory, ratio
from side_by_side import seconds as seconds_of
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnn_lightning.batch import Batch
from rnn_lightning.cli.process import keep_memory

PRODUCT, NOT_SET_UP, BARE, PACKED, TUTORIAL = "rnn-lightning", "without set-up", "bare loop", "packed", "tutorial"
EMBEDDING_SIZE = 100
FLOORS = {
    ("training", PACKED): 7.0,
    ("training", BARE): 0.95,
    ("inference", PACKED): 2.0,
}
"""How many times as fast as another way ours is to be, in one direction and in both."""


def _pooled(output: Tensor, valid: Tensor) -> Tensor:
    """Mean and maximum over the valid steps."""
    padding = ~valid.unsqueeze(-1)
    mean = output.masked_fill(padding, 0.0).sum(1) / valid.sum(1, keepdim=True)
    return torch.cat((mean, output.masked_fill(padding, -torch.inf).amax(1)), 1)


class Bare(nn.Module):
    """Padded; backwards each review is read from its own last word."""

    def __init__(self, vocab_size: int, hidden_size: int, bidirectional: bool) -> None:
        super().__init__()
        directions = 1 + bidirectional
        self.embedding = nn.Embedding(vocab_size, EMBEDDING_SIZE, padding_idx=0)
        self.lstms = nn.ModuleList(nn.LSTM(EMBEDDING_SIZE, hidden_size, batch_first=True) for _ in range(directions))
        self.linear = nn.Linear(2 * directions * hidden_size, 1)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        steps = torch.arange(ids.size(1))
        valid = steps < lengths[:, None]
        orders = [ids, ids.gather(1, torch.where(valid, lengths[:, None] - 1 - steps, steps))]
        # Pooling does not ask for the order: what was read backwards can stay so.
        outputs = [lstm(self.embedding(order))[0] for lstm, order in zip(self.lstms, orders, strict=False)]
        return self.linear(_pooled(torch.cat(outputs, 2), valid)).squeeze(1)


class Packed(nn.Module):
    """Packed, and pooled over all steps or, as tutorials do, the last state alone."""

    def __init__(self, vocab_size: int, hidden_size: int, bidirectional: bool, pooled: bool) -> None:
        super().__init__()
        self.pooled = pooled
        self.embedding = nn.Embedding(vocab_size, EMBEDDING_SIZE, padding_idx=0)
        self.lstm = nn.LSTM(EMBEDDING_SIZE, hidden_size, batch_first=True, bidirectional=bidirectional)
        self.linear = nn.Linear((1 + pooled) * (1 + bidirectional) * hidden_size, 1)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(self.embedding(ids), lengths, batch_first=True, enforce_sorted=False)
        output, (h, _) = self.lstm(packed)
        if not self.pooled:
            return self.linear(h.transpose(0, 1).flatten(1)).squeeze(1)
        output, _ = pad_packed_sequence(output, batch_first=True)
        return self.linear(_pooled(output, torch.arange(output.size(1)) < lengths[:, None])).squeeze(1)


class Way:
    """One way to train and to infer: it lives in a process of its own."""

    def __init__(
        self, name: str, batches: list[Batch], vocab_size: int, hidden_size: int, bidirectional: bool, threads: int
    ) -> None:
        torch.set_num_threads(threads)
        if name not in (NOT_SET_UP, TUTORIAL):
            keep_memory()
            torch.set_flush_denormal(True)
        if name in (PRODUCT, NOT_SET_UP):
            from rnn_lightning import SequenceClassifier
        torch.optim.AdamW([nn.Parameter(torch.zeros(1))])  # imports a lot: imports are no part of the memory
        self.batches = batches
        self.memory_before = peak_memory()
        if name in (PRODUCT, NOT_SET_UP):
            self.model: nn.Module = SequenceClassifier(
                hidden_size=hidden_size,
                bidirectional=bidirectional,
                embedding_size=EMBEDDING_SIZE,
                pooling="mean_max",
                vocab_size=vocab_size,
                num_classes=2,
            )
        elif name == BARE:
            self.model = Bare(vocab_size, hidden_size, bidirectional)
        else:
            self.model = Packed(vocab_size, hidden_size, bidirectional, pooled=name == PACKED)
        weights = self.model.parameters()
        self.optimizer = (
            torch.optim.Adam(weights) if name == TUTORIAL else torch.optim.AdamW(weights, lr=1e-3, fused=True)
        )

    def training(self) -> float:
        """Seconds of a training step on each batch."""
        self.model.train()
        return seconds_of(lambda: [self._step(batch) for batch in self.batches])

    def inference(self) -> float:
        """Seconds of the logits of each batch."""
        self.model.eval()
        with torch.inference_mode():
            return seconds_of(lambda: [self.model(batch.inputs, batch.lengths) for batch in self.batches])

    def memory(self) -> int:
        """Bytes at the peak, beyond those before there was a model."""
        return peak_memory() - self.memory_before

    def _step(self, batch: Batch) -> None:
        targets = batch.targets.float()  # type: ignore[union-attr]  # there are targets
        loss = functional.binary_cross_entropy_with_logits(self.model(batch.inputs, batch.lengths), targets)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


def main() -> None:
    """Measures, and prints a table."""
    made = parser(__doc__)
    made.add_argument("--hidden_size", type=int, default=128)
    made.add_argument("--batch_size", type=int, default=64)
    made.add_argument("--max_length", type=int, default=256)
    made.add_argument("--batches", type=int, help="how many stand for an epoch")
    options = filled(made.parse_args(), repeats=5)
    options.batches = options.batches or (2 if options.quick else 6)
    data, where_from = reviews(options.quick, max_length=options.max_length, batch_size=options.batch_size)
    similar, mixed = typical(data, options.batches)
    figures: list[Figure] = []
    for bidirectional in [False] if options.quick else [False, True]:
        figures += _measured(options, similar, mixed, data.facts.encoder.vocab_size, bidirectional)
    finish(options, figures, reviews=where_from)


def _measured(
    options: Namespace, similar: list[Batch], mixed: list[Batch], vocab_size: int, bidirectional: bool
) -> list[Figure]:
    names = [PRODUCT, NOT_SET_UP, BARE, PACKED] + ([] if options.quick else [TUTORIAL])
    sizes = (vocab_size, options.hidden_size, bidirectional, options.threads)
    # As the command does: its threads wait for each other by spinning, but not for long.
    ways = {
        name: Apart(Way, name, mixed if name == TUTORIAL else similar, *sizes, GOMP_SPINCOUNT="1000") for name in names
    }
    kind = "both directions" if bidirectional else "one direction"
    training = in_turn({name: partial(way, "training") for name, way in ways.items()}, options.repeats)
    memory = [Figure(f"memory, {kind}: {name}", way("memory") / 2**20, unit="MiB") for name, way in ways.items()]
    inference = in_turn({name: partial(way, "inference") for name, way in ways.items()}, options.repeats)
    for way in ways.values():
        way.close()

    operations = 2 * 4 * options.hidden_size * (EMBEDDING_SIZE + options.hidden_size) * (1 + bidirectional)
    peak = matrix_multiply()
    figures = []
    for work, times, passes in (("training", training, 3), ("inference", inference, 1)):
        for name in names[1:]:
            what = f"{work}, {kind}: rnn-lightning is faster than {name} by"
            figures.append(Figure(what, ratio(times, name, PRODUCT), FLOORS.get((work, name))))
        rates = {name: tokens(similar) / took for name, took in medians(times).items()}
        share = passes * operations * rates[PRODUCT] / peak
        figures.append(Figure(f"{work}, {kind}: share of the speed of a matrix product", share))
        figures += [Figure(f"{work}, {kind}: {name}", rate / 1000, unit="ktok/s") for name, rate in rates.items()]
    return figures + memory


if __name__ == "__main__":
    main()
