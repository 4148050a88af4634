"""Train, test and use any recurrent network on any sequence problem.

The public names are imported when they are first used: `import rnn_lightning` costs next to nothing and sets nothing.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnn_lightning.batch import Batch, Facts
    from rnn_lightning.callbacks.gradients import GradientProbe
    from rnn_lightning.callbacks.overfit import OverfitOneBatch
    from rnn_lightning.callbacks.profile import TimeProfile
    from rnn_lightning.data.adding import AddingProblem
    from rnn_lightning.data.base import SequenceData, Sequences
    from rnn_lightning.data.copy_memory import CopyMemory
    from rnn_lightning.data.digits import Digits
    from rnn_lightning.data.imdb import IMDb
    from rnn_lightning.data.next_word import NextWord
    from rnn_lightning.data.parity import Parity
    from rnn_lightning.data.selective_copy import SelectiveCopy
    from rnn_lightning.data.series_files import SeriesFiles
    from rnn_lightning.data.synthetic import SyntheticSequences
    from rnn_lightning.data.temporal_order import TemporalOrder
    from rnn_lightning.data.text_files import TextFiles
    from rnn_lightning.layers import RecurrentLayer, RecurrentStack
    from rnn_lightning.scaling import Scaling
    from rnn_lightning.tasks.bag_of_ngrams import BagOfNgrams
    from rnn_lightning.tasks.base import SequenceTask
    from rnn_lightning.tasks.ensemble import Ensemble
    from rnn_lightning.tasks.language_model import LanguageModel
    from rnn_lightning.tasks.loading import load
    from rnn_lightning.tasks.sequence_classifier import SequenceClassifier
    from rnn_lightning.tasks.sequence_tagger import SequenceTagger
    from rnn_lightning.testing import check_layer
    from rnn_lightning.text import TextEncoder

__version__ = version("rnn-lightning")

_MODULES = {
    "AddingProblem": "data.adding",
    "BagOfNgrams": "tasks.bag_of_ngrams",
    "Batch": "batch",
    "CopyMemory": "data.copy_memory",
    "Digits": "data.digits",
    "Ensemble": "tasks.ensemble",
    "Facts": "batch",
    "GradientProbe": "callbacks.gradients",
    "IMDb": "data.imdb",
    "LanguageModel": "tasks.language_model",
    "NextWord": "data.next_word",
    "OverfitOneBatch": "callbacks.overfit",
    "Parity": "data.parity",
    "RecurrentLayer": "layers",
    "RecurrentStack": "layers",
    "Scaling": "scaling",
    "SelectiveCopy": "data.selective_copy",
    "SequenceClassifier": "tasks.sequence_classifier",
    "SequenceData": "data.base",
    "SequenceTagger": "tasks.sequence_tagger",
    "SequenceTask": "tasks.base",
    "Sequences": "data.base",
    "SeriesFiles": "data.series_files",
    "SyntheticSequences": "data.synthetic",
    "TemporalOrder": "data.temporal_order",
    "TextEncoder": "text",
    "TextFiles": "data.text_files",
    "TimeProfile": "callbacks.profile",
    "check_layer": "testing",
    "load": "tasks.loading",
}

__all__ = [
    "AddingProblem",
    "BagOfNgrams",
    "Batch",
    "CopyMemory",
    "Digits",
    "Ensemble",
    "Facts",
    "GradientProbe",
    "IMDb",
    "LanguageModel",
    "NextWord",
    "OverfitOneBatch",
    "Parity",
    "RecurrentLayer",
    "RecurrentStack",
    "Scaling",
    "SelectiveCopy",
    "SequenceClassifier",
    "SequenceData",
    "SequenceTagger",
    "SequenceTask",
    "Sequences",
    "SeriesFiles",
    "SyntheticSequences",
    "TemporalOrder",
    "TextEncoder",
    "TextFiles",
    "TimeProfile",
    "check_layer",
    "load",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'rnn_lightning' has no attribute '{name}'")
    return getattr(import_module(f"rnn_lightning.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
