"""How long the training on film reviews takes to 85 % test accuracy, here and in the way of many tutorials.

    python benchmarks/accuracy.py --minutes 30

Both have an LSTM of 128 on embeddings of 100 and reviews of at most 256 words, and are tested as they go; the time of
testing does not count. The tutorial's way: packed batches at random, the last state, Adam as it comes, a process as it
comes. It is given up after so many minutes. Takes up to an hour, and
means something with the IMDb archive only.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
import yaml
from reviews import reviews
from side_by_side import Apart, Figure, clock, filled, finish, parser
from torch import nn
from torch.nn import functional
from training import PRODUCT, TUTORIAL, Packed

from rnn_lightning import SequenceClassifier
from rnn_lightning.batch import Batch
from rnn_lightning.cli.process import keep_memory

CONFIG = yaml.safe_load((Path(__file__).parents[1] / "configs" / "imdb.yaml").read_text("utf-8"))
ENOUGH = 0.85
STEPS = 88
"""Steps between tests: a quarter of an epoch."""


class Race:
    """A training that is tested as it goes, in a process of its own."""

    def __init__(self, name: str, minutes: float, threads: int, quick: bool) -> None:
        torch.set_num_threads(threads)
        if name == PRODUCT:
            keep_memory()
            torch.set_flush_denormal(True)
        torch.manual_seed(1234)
        self.minutes = minutes
        self.data, _ = reviews(quick, max_length=256)
        vocab_size = self.data.facts.encoder.vocab_size
        if name == PRODUCT:
            self.model: nn.Module = SequenceClassifier(hidden_size=128, **CONFIG["model"]["init_args"])
            self.model.adopt(self.data.facts)
            chosen = CONFIG["optimizer"]["init_args"]
            self.optimizer: torch.optim.Optimizer = torch.optim.AdamW(self.model.parameters(), fused=True, **chosen)
            self.clip, self.batches = 1.0, self.data.train_dataloader()
        else:
            self.model = Packed(vocab_size, 128, bidirectional=False, pooled=False)
            self.optimizer = torch.optim.Adam(self.model.parameters())
            shuffled = partial(torch.utils.data.DataLoader, self.data.train, shuffle=True)
            self.clip, self.batches = None, shuffled(batch_size=64, drop_last=True, collate_fn=lambda batch: batch)

    def run(self) -> tuple[float, float]:
        """Seconds of training, and the test accuracy at its end."""
        took, accuracy, steps = 0.0, 0.0, 0
        now = clock()
        start = now()
        while True:
            for batch in self.batches:
                self._step(batch)
                steps += 1
                if steps % STEPS == 0:
                    took += now() - start
                    accuracy = self._accuracy()
                    if accuracy >= ENOUGH or took > 60 * self.minutes:
                        return took, accuracy
                    start = now()

    def _step(self, batch: Batch) -> None:
        self.model.train()
        targets = batch.targets.float()  # type: ignore[union-attr]  # there are targets
        loss = functional.binary_cross_entropy_with_logits(self._logits(batch), targets)
        self.optimizer.zero_grad()
        loss.backward()
        if self.clip:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        self.optimizer.step()

    def _logits(self, batch: Batch) -> torch.Tensor:
        return self.model(batch.inputs, batch.lengths)

    @torch.inference_mode()
    def _accuracy(self) -> float:
        self.model.eval()
        right = sum(int(((self._logits(b) > 0) == b.targets).sum()) for b in self.data.test_dataloader())
        return right / len(self.data.test)


def main() -> None:
    """Measures, and prints a table."""
    made = parser(__doc__)
    made.add_argument("--minutes", type=float, default=30, help="minutes of training after which it is given up")
    options = filled(made.parse_args(), repeats=1)
    figures, times = [], {}
    for name in (PRODUCT, TUTORIAL):
        race = Apart(Race, name, options.minutes, options.threads, options.quick, GOMP_SPINCOUNT="1000")
        times[name], accuracy = race("run")
        race.close()
        figures += [
            Figure(f"training of {name}", times[name], unit="s"),
            Figure(f"test accuracy of {name} after that", accuracy, unit="of 1"),
        ]
    reached = times[TUTORIAL] <= 60 * options.minutes
    what = "85 %" if reached else f"85 %, which the tutorial did not reach in {options.minutes:g} minutes,"
    figures.insert(0, Figure(f"to {what} rnn-lightning is faster by at least", times[TUTORIAL] / times[PRODUCT], 5.0))
    finish(options, figures)


if __name__ == "__main__":
    main()
