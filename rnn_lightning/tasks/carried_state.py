"""The state of the layers between one batch and the next, where a batch goes on with the sequences of the one before.

So a model learns by truncated back-propagation through time: what it remembers goes from window to window of a stream,
the gradient ends where the window begins. B streams of a batch, S streams of all processes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from rnn_lightning.layers import StackState


class CarriedState:
    """The state after the last batch, apart for training, validation and test."""

    def __init__(self) -> None:
        self._states: dict[str, StackState] = {}
        self._restored: dict[str, Any] | None = None

    def before(self, part: str, batch_idx: int) -> StackState | None:
        """What a batch begins with: the state after the one before, and None where an epoch begins."""
        return self._states.get(part) if batch_idx > 0 else None

    def keep(self, part: str, state: StackState) -> None:
        """Takes the state after a batch, and leaves behind how it came about."""
        self._states[part] = tuple(tuple(tensor.detach() for tensor in layer) for layer in state)

    def saved(self, num_batches: float, gathered: Callable[[Tensor], Tensor]) -> dict[str, Any] | None:
        """The training's state, for a checkpoint that is made within an epoch; None where there is no state.

        Args:
            num_batches: batches of an epoch.
            gathered: from a tensor (B, ...) of each process to that of all (S, ...).
        """
        if "train" not in self._states:
            return None
        # A clone, since a state can be a part of a larger tensor, which would be saved with it.
        layers = [[gathered(tensor).clone() for tensor in layer] for layer in self._states["train"]]
        return {"num_batches": num_batches, "layers": layers}

    def restore(self, saved: dict[str, Any] | None) -> None:
        """Takes back what `saved` gave; None: the checkpoint was not made within an epoch."""
        self._restored = saved

    def resume(self, batch_idx: int, num_batches: float, inputs: Tensor, rank: int, processes: int) -> None:
        """Goes on with a restored state, if there is one, at the first batch of a resumed training.

        Args:
            batch_idx: the batch's number in its epoch.
            num_batches: batches of an epoch.
            inputs: the batch's inputs (B, T).
            rank: number of this process.
            processes: how many there are.

        Raises:
            ValueError: there were other streams when the checkpoint was made.
        """
        restored, self._restored = self._restored, None
        if restored is None or batch_idx == 0:
            return
        layers, rows = restored["layers"], len(inputs)
        before, here = (restored["num_batches"], len(layers[0][0])), (num_batches, rows * processes)
        if before != here:
            raise ValueError(
                f"the checkpoint was made within an epoch of {before[0]:,} batches of {before[1]} streams; an epoch "
                f"has {here[0]:,} of {here[1]} here: a training goes on with the options it began with"
            )
        own = slice(rank * rows, (rank + 1) * rows)
        self._states["train"] = tuple(tuple(tensor[own].to(inputs.device) for tensor in layer) for layer in layers)
