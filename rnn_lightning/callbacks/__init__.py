"""What watches a training run."""

from rnn_lightning.callbacks.gradients import GradientProbe

__all__ = ["GradientProbe"]
