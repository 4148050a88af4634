"""What models say together, weighed on sequences that none of them was fitted to.

    logits = sum over k of scale[k] * part[k] + offset

The scales and offsets have the least cross-entropy (stacking; Wolpert 1992,
https://doi.org/10.1016/S0893-6080(05)80023-1). To each class as many sequences are added as there are classes, each
called by another one: so the scales stay finite where all are right (Platt 1999, Probabilistic outputs for support
vector machines, section 2.2). No scale is below zero: a model is not made to say the opposite of what it was taught.

K parts, S sequences, L classes, C logits of a sequence: 1 for two classes, else one a class.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


class Weighed(NamedTuple):
    """How parts are put together.

    Attributes:
        scales: of each part (K,).
        offsets: of each logit (C,).
        loss: the mean cross-entropy that is left, with the added sequences.
    """

    scales: Tensor
    offsets: Tensor
    loss: float


@torch.inference_mode(False)  # within a validation too
@torch.enable_grad()
def weigh(parts: Tensor, targets: Tensor) -> Weighed:
    """Fits the scales and offsets.

    Args:
        parts: the logits of each part (K, S, C).
        targets: the class of each sequence (S,), from 0 on.
    """
    parts, targets = parts.double().clone(), targets.long().clone()
    classes = functional.one_hot(targets, max(parts.size(2), 2)).double()
    counts = classes.sum(0)
    wanted = (classes * counts + 1) / (classes @ counts + len(counts)).unsqueeze(1)
    logs = torch.full((len(parts),), -math.log(len(parts)), dtype=torch.float64, requires_grad=True)
    offsets = torch.zeros(parts.size(2), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [logs, offsets], max_iter=200, tolerance_grad=1e-9, tolerance_change=1e-12, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        logits = torch.einsum("k,ksc->sc", logs.exp(), parts) + offsets
        # One logit stands between the first class and the second.
        logits = functional.pad(logits, (1, 0)) if logits.size(1) == 1 else logits
        found = functional.cross_entropy(logits, wanted)
        found.backward()  # type: ignore[no-untyped-call]  # torch does not declare it
        return found

    optimizer.step(loss)  # type: ignore[no-untyped-call]  # torch does not declare it
    return Weighed(logs.detach().exp(), offsets.detach(), float(loss().detach()))
