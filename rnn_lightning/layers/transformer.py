"""One layer of a Transformer (Vaswani et al. 2017, https://arxiv.org/abs/1706.03762), to compare the others with.

B sequences, T steps, D input features, H hidden features, N heads of F = H / N features, S steps before. State: the
keys and the values of the steps before, both (B, N, S, F), and which of these belong to the sequence (B, S): it grows
with every step.

    x'_t = W x_t                                     W (H, D), where the sizes differ
    y_t = x'_t + A attention(LN(x'))_t               every step sees those up to itself
    h_t = y_t + M gelu(L LN(y_t))                    L (4H, H), M (H, 4H)

The output is h_t. Normalisation comes first (Xiong et al. 2020, https://arxiv.org/abs/2002.04745). Queries and keys are
turned by an angle for each position (Su et al. 2021, https://arxiv.org/abs/2104.09864), so that what a step sees
depends on how far back something is. In both directions (`unmasked`) every step sees all steps of its sequence.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnn_lightning.layers.base import RecurrentLayer, State
from rnn_lightning.layers.padding import valid_steps

_LONGEST_WAVE = 10_000


class Transformer(RecurrentLayer):
    """A Transformer's layer: self-attention, then two linear maps.

    Args:
        input_size: features of a step, D.
        hidden_size: features of the output, H, a multiple of twice num_heads.
        num_heads: parts that the features are attended in, N.

    Raises:
        ValueError: a size is not positive, or hidden_size is no multiple of twice num_heads.
    """

    num_states = 3
    state_names = ()

    def __init__(self, input_size: int, hidden_size: int, num_heads: int = 4) -> None:
        super().__init__(input_size, hidden_size)
        if num_heads < 1:
            raise ValueError(f"num_heads is {num_heads}; it must be at least 1")
        if hidden_size % (2 * num_heads):
            raise ValueError(
                f"hidden_size is {hidden_size}; for {num_heads} heads of a Transformer it must be a multiple of "
                f"{2 * num_heads}"
            )
        self.num_heads = num_heads
        self.causal = True
        same = input_size == hidden_size
        self.input = nn.Identity() if same else nn.Linear(input_size, hidden_size, bias=False)
        self.norm_attention, self.norm_mixed = nn.LayerNorm(hidden_size), nn.LayerNorm(hidden_size)
        self.attention = nn.Linear(hidden_size, 3 * hidden_size)
        self.joined = nn.Linear(hidden_size, hidden_size)
        self.mixed = nn.Sequential(
            nn.Linear(hidden_size, 4 * hidden_size), nn.GELU(), nn.Linear(4 * hidden_size, hidden_size)
        )

    def unmasked(self) -> Transformer:
        """This layer, from now on with every step seeing all steps: it takes no state then, and no single steps."""
        self.causal = False
        return self

    def initial_state(self, x: Tensor) -> State:
        """No steps before."""
        none = x.new_zeros(x.size(0), self.num_heads, 0, self.hidden_size // self.num_heads)
        return none, none, torch.ones(x.size(0), 0, dtype=torch.bool, device=x.device)

    def step(self, x_t: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        if not self.causal:
            raise ValueError("a Transformer in both directions cannot go step by step: each step sees those to come")
        state = self.begin(x_t, state)
        output, state = self.unroll(x_t.unsqueeze(1), None, state)
        return output.squeeze(1), state

    def unroll(self, x: Tensor, lengths: Tensor | None, state: State) -> tuple[Tensor, State]:
        keys, values, before = state
        batch_size, num_steps, _ = x.shape
        valid = before.new_ones(batch_size, num_steps) if lengths is None else valid_steps(lengths, num_steps)
        x = self.input(x)
        parts = self.attention(self.norm_attention(x)).to(keys.dtype).chunk(3, 2)
        queries, new_keys, new_values = (part.view(batch_size, num_steps, self.num_heads, -1) for part in parts)
        positions = before.sum(1, keepdim=True) + torch.arange(num_steps, device=x.device)
        keys = torch.cat((keys, _turned(new_keys, positions).transpose(1, 2)), 2)
        values = torch.cat((values, new_values.transpose(1, 2)), 2)
        queries = _turned(queries, positions).transpose(1, 2)
        seen = self._seen(before, valid)
        attended = functional.scaled_dot_product_attention(queries, keys, values, seen, is_causal=seen is None)
        x = x + self.joined(attended.transpose(1, 2).flatten(2))
        return x + self.mixed(self.norm_mixed(x)), (keys, values, torch.cat((before, valid), 1))

    def _seen(self, before: Tensor, valid: Tensor) -> Tensor | None:
        """Which steps (S + T) each of the T new ones sees (B, 1, T, S + T); None: those up to itself."""
        steps = torch.arange(valid.size(1), device=valid.device)
        if not self.causal:
            # Padding sees itself: attention to nothing is NaN.
            return (valid.unsqueeze(1) | (steps == steps.unsqueeze(1))).unsqueeze(1)
        if before.size(1) == 0:
            return None
        # Padding follows the valid steps, so none of these sees it.
        new = (steps <= steps.unsqueeze(1)).expand(len(valid), -1, -1)
        return torch.cat((before.unsqueeze(1).expand(-1, len(steps), -1), new), 2).unsqueeze(1)

    def _given_or_initial(self, x: Tensor, state: State | None) -> State:
        initial = self.initial_state(x)
        if state is None:
            return initial
        if not self.causal:
            raise ValueError("a Transformer in both directions takes no state: each step sees all of its sequence")
        # The number of steps before is free.
        shapes = self._shapes(state)
        steps = shapes[-1][-1] if shapes and shapes[-1] else 0
        wanted = [(*initial[0].shape[:2], steps, initial[0].size(3))] * 2 + [(x.size(0), steps)]
        if shapes != wanted:
            raise ValueError(f"the state of this Transformer has shapes {wanted}; it was given {shapes}")
        return state


def _turned(x: Tensor, positions: Tensor) -> Tensor:
    """Turns each pair of features (B, T, N, F) by its own multiple of the position (B, T)."""
    exact = torch.promote_types(x.dtype, torch.float32)
    half = x.size(3) // 2
    frequencies = _LONGEST_WAVE ** -(torch.arange(half, device=x.device, dtype=exact) / half)
    angles = (positions.to(exact).unsqueeze(-1) * frequencies).unsqueeze(2)
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    one, other = x.chunk(2, 3)
    return torch.cat((one * cos - other * sin, one * sin + other * cos), 3)
