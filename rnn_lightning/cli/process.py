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
    # Imported before its loggers are set, since importing it sets them too.
    import lightning.pytorch  # noqa: F401

    for name in ("lightning.pytorch", "lightning.fabric"):
        # At a lower level: which accelerators were found, how processes met, advertisements for other products.
        logging.getLogger(name).setLevel(logging.WARNING)
    own = logging.getLogger("rnn_lightning")
    own.setLevel(logging.INFO)
    if not own.handlers:
        own.addHandler(logging.StreamHandler())
    for message, category in _NOT_FOR_THE_USER:
        warnings.filterwarnings("ignore", message, category)


_NOT_FOR_THE_USER: list[tuple[str, type[Warning]]] = [
    # Lightning calls torch's tree functions in a way that torch 2.13 is about to drop: theirs to mend.
    (r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning),
    # A training that goes on in a new run folder keeps its checkpoints there, as it should.
    (r"The dirpath has changed from", UserWarning),
    # It counts steps between logs, and what is logged here is logged by the epoch.
    (r"The number of training batches \(\d+\) is smaller than the logging interval", UserWarning),
]
"""Warnings that a user can do nothing about: how each begins, and its kind."""
