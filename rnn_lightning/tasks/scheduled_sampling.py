"""Scheduled sampling (Bengio et al. 2015, https://arxiv.org/abs/1506.03099): inputs that the model wrote itself.

With teacher forcing a language model sees the true tokens before each one, and never its own mistakes, with which it
has to live when it writes. So in training some inputs are replaced by what it would have written in their place.
B texts, T steps, V token ids.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from rnn_lightning.batch import PAD
from rnn_lightning.layers import StackState
from rnn_lightning.tasks.generation import without_unknown

if TYPE_CHECKING:
    from rnn_lightning.tasks.language_model import LanguageModel


@torch.no_grad()
def with_own_tokens(model: LanguageModel, inputs: Tensor, state: StackState | None, share: float) -> Tensor:
    """Replaces inputs by tokens drawn from what the model says after the step before, which has seen such inputs too.

    Step by step, as the model writes: without dropout. No gradient goes through a drawn token, so the loss of all steps
    is then that of the returned inputs in one pass.

    Args:
        model: the language model.
        inputs: true token ids (B, T).
        state: the state to begin with; None: the initial one.
        share: of the inputs, except the first of each text and padding, that are replaced.

    Returns:
        Token ids (B, T), none of them drawn padding or unknown.
    """
    was_training = model.training
    model.eval()
    inputs = inputs.clone()
    replaced = (torch.rand(inputs.shape, device=inputs.device) < share) & (inputs != PAD)
    replaced[:, 0] = False
    # After the last one that is replaced, nothing is drawn any more.
    for t in range(int(replaced.any(0).nonzero().max()) if replaced.any() else 0):
        output, state = model.recurrent.step(model.embedding(inputs[:, t : t + 1])[:, 0], state)
        rows = replaced[:, t + 1].nonzero()[:, 0]
        if len(rows):
            probabilities = torch.softmax(without_unknown(model.head(output[rows])).float(), 1)
            inputs[rows, t + 1] = torch.multinomial(probabilities, 1)[:, 0] + 1
    # What mixed precision made of the weights here has no gradient; the pass that follows would use it again.
    torch.clear_autocast_cache()
    model.train(was_training)
    return inputs
