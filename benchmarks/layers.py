"""Recurrent layers beside torch's own and beside a Transformer's, from short sequences to long ones.

    python benchmarks/layers.py

A training step is forwards and backwards through one layer of 128, with as many tokens at each length: 256 sequences of
64 steps or 4 of 4096. A streaming step is one more time step of a single sequence that is already so long: a recurrent
layer carries its state, a Transformer's attends to all steps before. Each layer is in a process of its own.
"""

from __future__ import annotations

from functools import partial

import torch
from side_by_side import Apart, Figure, filled, finish, in_turn, medians, parser, peak_memory, ratio, seconds
from torch import Tensor, nn
from torch.nn import functional

from rnn_lightning import registry
from rnn_lightning.cli.process import keep_memory

INPUT_SIZE, HIDDEN_SIZE, TOKENS = 100, 128, 16_384
STEPS = 3
TORCH, TRANSFORMER = "torch's GRU", "Transformer"
LAYERS = ("rnn", "lstm", "gru", "lstm_ln", "mingru", TORCH, TRANSFORMER)
FASTER = {256: 1.5, 1024: 3.0}
"""How many times as fast as torch's GRU minGRU is to be, at this many steps."""
NORMALISED = {64: 2.0, 256: 2.0}
"""How many times as long as an LSTM one with layer normalisation may take."""


class TransformerLayer(nn.Module):
    """Masked self-attention of 4 heads, then two linear layers, each after normalisation; x (B, T, D) to (B, T, H)."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input = nn.Linear(input_size, hidden_size)
        self.norms = nn.ModuleList(nn.LayerNorm(hidden_size) for _ in range(2))
        self.attention = nn.Linear(hidden_size, 3 * hidden_size)
        self.joined = nn.Linear(hidden_size, hidden_size)
        self.mixed = nn.Sequential(nn.Linear(hidden_size, 512), nn.GELU(), nn.Linear(512, hidden_size))

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The output, and the keys and values of all steps."""
        return self.step(x, [])

    def step(self, x: Tensor, before: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """As `forward`, after steps whose keys and values are given."""
        x = self.input(x)
        query, *new = (
            part.unflatten(2, (4, -1)).transpose(1, 2) for part in self.attention(self.norms[0](x)).chunk(3, 2)
        )
        cache = [torch.cat(pair, 2) for pair in zip(before, new, strict=True)] if before else new
        attended = functional.scaled_dot_product_attention(query, *cache, is_causal=not before)
        x = x + self.joined(attended.transpose(1, 2).flatten(2))
        return x + self.mixed(self.norms[1](x)), cache


class Layer:
    """A layer and a batch for it, in a process as the command sets it up."""

    def __init__(self, name: str, num_steps: int, threads: int) -> None:
        keep_memory()
        torch.set_flush_denormal(True)
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        self.name = name
        if name == TORCH:
            self.layer: nn.Module = nn.GRU(INPUT_SIZE, HIDDEN_SIZE, batch_first=True)
        elif name == TRANSFORMER:
            self.layer = TransformerLayer(INPUT_SIZE, HIDDEN_SIZE)
        else:
            self.layer = registry.resolve("layers", name)(INPUT_SIZE, HIDDEN_SIZE)
        self.x = torch.randn(TOKENS // num_steps, num_steps, INPUT_SIZE, requires_grad=True)
        self.memory_before = peak_memory()

    def training(self) -> float:
        """Seconds of a step forwards and backwards: the mean of some."""
        return seconds(lambda: [self.layer(self.x)[0].sum().backward() for _ in range(STEPS)]) / STEPS

    def memory(self) -> int:
        """Bytes at the peak, beyond those before the first step."""
        return peak_memory() - self.memory_before

    def streaming(self) -> float:
        """Seconds of one more time step of a single sequence; the mean of some."""
        sequence = self.x[:1].detach()
        x_t = sequence[:, :1] if self.name in (TORCH, TRANSFORMER) else sequence[:, 0]
        step = self.layer if self.name == TORCH else self.layer.step
        with torch.inference_mode():
            _, state = self.layer(sequence)
            return seconds(lambda: [step(x_t, state) for _ in range(20)]) / 20


def main() -> None:
    """Measures, and prints a table."""
    made = parser(__doc__)
    made.add_argument("--num_steps", type=int, nargs="+", help="lengths of the sequences")
    options = filled(made.parse_args(), repeats=7)
    lengths = options.num_steps or ([256, 1024] if options.quick else [64, 256, 1024, 4096])
    names = [name for name in LAYERS if not options.quick or name in ("lstm", "lstm_ln", "mingru", TORCH)]
    figures = []
    for num_steps in lengths:
        figures += _measured(names, num_steps, options.threads, options.repeats)
    finish(options, figures)


def _measured(names: list[str], num_steps: int, threads: int, repeats: int) -> list[Figure]:
    layers = {name: Apart(Layer, name, num_steps, threads, GOMP_SPINCOUNT="1000") for name in names}
    training = in_turn({name: partial(layer, "training") for name, layer in layers.items()}, repeats)
    memory = {name: layer("memory") for name, layer in layers.items()}
    streaming = in_turn({name: partial(layer, "streaming") for name, layer in layers.items()}, repeats)
    for layer in layers.values():
        layer.close()
    faster = partial(Figure, at_least=FASTER.get(num_steps))
    slower = partial(Figure, at_most=NORMALISED.get(num_steps))
    of = f"T = {num_steps}"
    return [
        faster(f"{of}: mingru trains faster than {TORCH} by", ratio(training, TORCH, "mingru")),
        slower(f"{of}: lstm_ln trains longer than lstm by", ratio(training, "lstm_ln", "lstm")),
        *(Figure(f"{of}, training: {name}", 1000 * took, unit="ms") for name, took in medians(training).items()),
        *(Figure(f"{of}, memory of training: {name}", size / 2**20, unit="MiB") for name, size in memory.items()),
        *(Figure(f"{of}, one more step: {name}", 1e6 * took, unit="µs") for name, took in medians(streaming).items()),
    ]


if __name__ == "__main__":
    main()
