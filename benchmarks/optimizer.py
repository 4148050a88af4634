"""A step of AdamW on the weights of imdb.yaml's model: as one operation, as the command has it, and as it comes.

python benchmarks/optimizer.py
"""

from __future__ import annotations

from functools import partial

import torch
from side_by_side import Figure, filled, finish, in_turn, medians, parser, ratio, seconds
from torch import nn

WAYS = {"fused": {"fused": True}, "default": {}, "foreach": {"foreach": True}}


def main() -> None:
    """Measures, and prints a table."""
    made = parser(__doc__)
    made.add_argument("--steps", type=int, help="steps that are timed together")
    made.add_argument("--vocab_size", type=int, default=25_002)
    options = filled(made.parse_args(), repeats=9, quick_repeats=5)
    options.steps = options.steps or (5 if options.quick else 20)
    torch.set_flush_denormal(True)
    optimizers = {name: _optimizer(options.vocab_size, **chosen) for name, chosen in WAYS.items()}
    ways = {name: partial(_steps, optimizer, options.steps) for name, optimizer in optimizers.items()}
    times = in_turn(ways, options.repeats)
    figures = [
        Figure("AdamW: fused is faster than default by", ratio(times, "default", "fused"), at_least=3.0),
        Figure("AdamW: fused is faster than foreach by", ratio(times, "foreach", "fused")),
        *(Figure(f"AdamW, {name}", 1000 * took / options.steps, unit="ms") for name, took in medians(times).items()),
    ]
    finish(options, figures)


def _optimizer(vocab_size: int, **chosen: bool) -> torch.optim.AdamW:
    torch.manual_seed(0)
    layers = (nn.Embedding(vocab_size, 100), nn.LSTM(100, 128), nn.Linear(256, 1))
    weights = [weight for layer in layers for weight in layer.parameters()]
    for weight in weights:
        weight.grad = 1e-3 * torch.randn_like(weight)
    return torch.optim.AdamW(weights, **chosen)


def _steps(optimizer: torch.optim.AdamW, steps: int) -> float:
    return seconds(lambda: [optimizer.step() for _ in range(steps)])


if __name__ == "__main__":
    main()
