"""What the command sets for its whole process. Importing the package sets none of it."""

from __future__ import annotations

import logging
import warnings


def set_up() -> None:
    """Flushes denormals, and keeps what is not for the user off the screen, each message by its name."""
    import torch

    # A loss on the last state alone makes gradients decay below 1e-38, where a CPU computes several times slower.
    # Set before the first parallel operation, so that every thread has it.
    torch.set_flush_denormal(True)
    # Which accelerators were found, advertisements for other products.
    for name in ("lightning.pytorch.utilities.rank_zero", "lightning.fabric.utilities.seed"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    logging.getLogger("rnn_lightning").setLevel(logging.INFO)
    for message, category in _NOT_FOR_THE_USER:
        warnings.filterwarnings("ignore", message, category)


_NOT_FOR_THE_USER: list[tuple[str, type[Warning]]] = [
    # Lightning calls torch's tree functions in a way that torch 2.13 is about to drop: theirs to mend.
    (r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning),
]
"""Warnings that a user can do nothing about: how each begins, and its kind."""
