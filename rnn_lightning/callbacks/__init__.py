"""What watches a training run."""

from rnn_lightning.callbacks.gradients import GradientProbe
from rnn_lightning.callbacks.overfit import OverfitOneBatch
from rnn_lightning.callbacks.profile import TimeProfile

__all__ = ["GradientProbe", "OverfitOneBatch", "TimeProfile"]
