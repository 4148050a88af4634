"""What it costs to make the batches of film reviews, by themselves and beside the training that they are for.

    python benchmarks/data.py

Model, data and optimiser are those of imdb.yaml. The training of an epoch is worked out from batches of all lengths.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
import yaml
from reviews import reviews, tokens, typical
from side_by_side import Figure, filled, finish, in_turn, medians, parser, ratio, seconds
from torch.utils.data import DataLoader

from rnn_lightning import SequenceClassifier
from rnn_lightning.batch import Batch
from rnn_lightning.cli.process import keep_memory

CONFIG = yaml.safe_load((Path(__file__).parents[1] / "configs" / "imdb.yaml").read_text("utf-8"))


def main() -> None:
    """Measures, and prints a table."""
    made = parser(__doc__)
    made.add_argument("--batches", type=int, help="how many stand for the training of an epoch")
    made.add_argument("--hidden_size", type=int, default=128)
    options = filled(made.parse_args(), repeats=7)
    options.batches = options.batches or (3 if options.quick else 8)
    keep_memory()
    torch.set_flush_denormal(True)
    data, where_from = reviews(options.quick, **CONFIG["data"]["init_args"])
    picked, _ = typical(data, options.batches)
    facts = data.facts
    model = SequenceClassifier(hidden_size=options.hidden_size, **CONFIG["model"]["init_args"])
    model.adopt(facts)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), fused=True, **CONFIG["optimizer"]["init_args"])
    share = tokens(picked) / int(data.train.lengths.sum())
    loader = data.train_dataloader()
    ways = {
        "data": lambda: seconds(partial(_through, loader)),
        "training": lambda: seconds(partial(_train, model, optimizer, picked)) / share,
    }
    times = in_turn(ways, options.repeats)
    beside = ratio(times, "data", "training")
    took = medians(times)
    figures = [
        Figure("an epoch of imdb.yaml: share of making the batches", beside / (1 + beside), at_most=0.03),
        Figure("a review in its batch", 1e6 * took["data"] / len(data.train), at_most=10, unit="µs"),
        Figure("an epoch's batches", took["data"], unit="s"),
        Figure("an epoch's training", took["training"], unit="s"),
    ]
    finish(options, figures, reviews=where_from)


def _through(loader: DataLoader[Batch]) -> None:
    for _ in loader:
        pass


def _train(model: SequenceClassifier, optimizer: torch.optim.Optimizer, batches: list[Batch]) -> None:
    for batch in batches:
        loss = model.losses(model(batch.inputs, batch.lengths), batch.targets).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


if __name__ == "__main__":
    main()
