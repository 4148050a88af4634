"""From the outputs of all steps to one vector a sequence, blind to padding.

B sequences, T steps, F features, P pooled features.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from rnn_lightning.layers.padding import last_valid, valid_steps

PoolingName = Literal["last", "mean", "max", "mean_max", "mean_max_last", "attention"]


class Pooling(nn.Module):
    """Pools recurrent outputs over each sequence's valid steps; a sequence of length 0 pools to zero.

    `last` is the output at a sequence's own end. Where the outputs are bidirectional, [forward; backward], each half is
    taken where its direction ends: the backward one at the first step.

    `attention` weighs the steps by softmax(v tanh(W h_t + b)) (Bahdanau et al. 2015, https://arxiv.org/abs/1409.0473,
    with a learnt query).

    Args:
        name: last, mean, max, attention, or several joined in this order: mean_max, mean_max_last.
        input_size: features of a step, F.
        bidirectional: the features are [forward; backward].

    Raises:
        ValueError: there is no such pooling.
    """

    def __init__(self, name: PoolingName, input_size: int, bidirectional: bool = False) -> None:
        super().__init__()
        if name not in get_args(PoolingName):
            raise ValueError(f"there is no pooling '{name}'; there are {', '.join(get_args(PoolingName))}")
        self.parts = name.split("_")
        self.bidirectional = bidirectional
        self.output_size = input_size * len(self.parts)
        if name == "attention":
            self.score = nn.Sequential(
                nn.Linear(input_size, input_size), nn.Tanh(), nn.Linear(input_size, 1, bias=False)
            )

    def forward(self, output: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Outputs (B, T, F), zero beyond each length, to (B, P)."""
        if lengths is None:
            lengths = torch.full(output.shape[:1], output.size(1), device=output.device)
        if output.size(1) == 0:
            return output.new_zeros(output.size(0), self.output_size)
        return torch.cat([getattr(self, f"_{part}")(output, lengths) for part in self.parts], 1)

    def _last(self, output: Tensor, lengths: Tensor) -> Tensor:
        last = last_valid(output, lengths, output.new_zeros(output.size(0), output.size(2)))
        if not self.bidirectional:
            return last
        half = output.size(2) // 2
        return torch.cat((last[:, :half], output[:, 0, half:]), 1)

    def _mean(self, output: Tensor, lengths: Tensor) -> Tensor:
        return output.sum(1) / lengths.clamp(min=1).unsqueeze(1)

    def _max(self, output: Tensor, lengths: Tensor) -> Tensor:
        valid = valid_steps(lengths, output.size(1)).unsqueeze(-1)
        highest = torch.where(valid, output, -torch.inf).amax(1)
        return highest.masked_fill((lengths == 0).unsqueeze(1), 0.0)

    def _attention(self, output: Tensor, lengths: Tensor) -> Tensor:
        valid = valid_steps(lengths, output.size(1))
        # A finite fill: a row with nothing valid would be NaN under softmax. Its outputs are zero, and so is its sum.
        scores = self.score(output).squeeze(-1).masked_fill(~valid, torch.finfo(output.dtype).min)
        return torch.einsum("bt,btf->bf", torch.softmax(scores, 1), output)
