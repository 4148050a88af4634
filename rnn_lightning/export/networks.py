"""What a model is as an ONNX graph: for whole sequences, and for one step of them.

B sequences, T steps, D input features, C classes, V token ids.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import NamedTuple, cast

import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional

from rnn_lightning.export.graph import Port, to_onnx
from rnn_lightning.export.unrolled import fill_in, unroll_layers
from rnn_lightning.layers import NgramSum, RecurrentLayer, State, Transformer
from rnn_lightning.tasks.base import SequenceTask
from rnn_lightning.tasks.language_model import LanguageModel
from rnn_lightning.tasks.one_answer import OneAnswer
from rnn_lightning.tasks.sequence_classifier import SequenceClassifier
from rnn_lightning.tasks.sequence_tagger import SequenceTagger

Stepping = SequenceClassifier | SequenceTagger | LanguageModel
"""Tasks that may go step by step."""
Exportable = OneAnswer | SequenceTagger | LanguageModel


class StateTensor(NamedTuple):
    """One tensor of a model's state.

    Attributes:
        name: such as state_0_h, by the number of the layer and what it is there.
        initial: what a sequence begins with, of a batch of one.
    """

    name: str
    initial: Tensor

    @property
    def before(self) -> Port:
        """The input of a step."""
        return Port(self.name, ("batch", *self.initial.shape[1:]))

    @property
    def after(self) -> Port:
        """The output of a step."""
        return Port(f"new_{self.name}", ("batch", *self.initial.shape[1:]))


def exportable(model: SequenceTask) -> Exportable:
    """The model, if it can be exported.

    Raises:
        ValueError: it is of a task that is not known here.
    """
    if not isinstance(model, Exportable):
        known = "SequenceClassifier, BagOfNgrams, Ensemble, SequenceTagger or LanguageModel"
        raise ValueError(f"a {type(model).__name__} cannot be exported: it is no {known}")
    return model


def why_no_steps(model: Exportable) -> str | None:
    """Why a model cannot go step by step; None where it can."""
    if any(isinstance(module, NgramSum) for module in model.modules()):
        return "an n-gram counts once in a text, which has to be seen whole"
    if not isinstance(model, Stepping):
        return "an ensemble has members, each with a state of its own"
    if model.recurrent.bidirectional:
        return "a model in both directions begins at the end of a sequence too"
    if any(isinstance(module, Transformer) for module in model.recurrent.modules()):
        return "the state of a transformer grows with every step"
    if isinstance(model, SequenceClassifier) and model.pooling.parts != ["last"]:
        return f"the pooling {model.hparams['pooling']} looks at all steps together"
    return None


def initial_state(model: Exportable) -> list[StateTensor]:
    """The state of a model in one direction, layer after layer."""
    found = []
    for number, layer in enumerate(_layers(model)):
        for index, tensor in enumerate(layer.initial_state(torch.zeros(1, layer.input_size))):
            name = layer.state_names[index] if index < len(layer.state_names) else index
            found.append(StateTensor(f"state_{number}_{name}", tensor.detach()))
    return found


def inputs_port(model: Exportable, *steps: str) -> Port:
    """Token ids (B, T) or features (B, T, D), `steps` being the dimension T, or those of one step, without it."""
    size = model.hparams.get("input_size")
    return Port("inputs", ("batch", *steps, *(() if size is None else (size,))))


def answer_port(model: Exportable, *steps: str) -> Port:
    """What the model answers for a whole sequence, `steps` being the dimension T, or after one step, without it.

    It is the `probabilities` of the classes, the `value` of a regression, or the `log_probabilities` of the token that
    comes next, each in the place of its id.
    """
    if isinstance(model, LanguageModel):
        return Port("log_probabilities", ("batch", *steps, model.hparams["vocab_size"]))
    num_classes = model.hparams["num_classes"]
    if isinstance(model, SequenceTagger):
        return Port("probabilities", ("batch", *steps, num_classes))
    return Port("probabilities", ("batch", num_classes)) if num_classes else Port("value", ("batch",))


class Whole(nn.Module):
    """From whole sequences and their lengths to the model's answer."""

    def __init__(self, model: Exportable) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Inputs (B, T) or (B, T, D) and lengths (B,)."""
        found = self.model(inputs, lengths)
        return _answer(self.model, found[0] if isinstance(found, tuple) else found)


class OneStep(nn.Module):
    """From the input of a step and the state before it to the model's answer and the state after it."""

    def __init__(self, model: Exportable) -> None:
        super().__init__()
        self.model = cast(Stepping, model)
        self.sizes = [len(layer.initial_state(torch.zeros(1, layer.input_size))) for layer in _layers(model)]

    def forward(self, inputs: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """Inputs (B,) or (B, D) and the tensors of all layers' states."""
        x_t = inputs if inputs.is_floating_point() else self.model.embedding(inputs.unsqueeze(1)).squeeze(1)
        output, new = self.model.recurrent.step(x_t, self._by_layer(state))
        logits = self.model.answers(output) if isinstance(self.model, SequenceClassifier) else self.model.head(output)
        return _answer(self.model, logits), *(t for layer in new for t in layer)

    def _by_layer(self, state: tuple[Tensor, ...]) -> tuple[State, ...]:
        tensors = iter(state)
        return tuple(tuple(next(tensors) for _ in range(size)) for size in self.sizes)


def whole_graph(model: Exportable) -> onnx.ModelProto:
    """The graph of whole sequences.

    Raises:
        ValueError: a layer does something that ONNX has no operator for.
    """
    traced = copy.deepcopy(model)
    stepwise = unroll_layers(traced)
    lengths = torch.tensor([5, 3])
    graph = to_onnx(
        f"this {type(model).__name__}",
        Whole(traced),
        (example(model, 2, 5), lengths),
        [inputs_port(model, "time"), Port("lengths", ("batch",))],
        [answer_port(model, "time")],
    )
    fill_in(graph, stepwise)
    return graph


def step_graph(model: Exportable) -> onnx.ModelProto:
    """The graph of one step, for a model that can go step by step.

    Raises:
        ValueError: a layer does something that ONNX has no operator for.
    """
    state = initial_state(model)
    return to_onnx(
        f"a step of this {type(model).__name__}",
        OneStep(model),
        (example(model, 2), *(tensor.initial.repeat_interleave(2, 0) for tensor in state)),
        [inputs_port(model), *(tensor.before for tensor in state)],
        [answer_port(model), *(tensor.after for tensor in state)],
    )


def example(model: Exportable, *sizes: int) -> Tensor:
    """Random inputs of this many sequences and steps: known tokens, or features of a normal distribution."""
    size = model.hparams.get("input_size")
    if size is None:
        return torch.randint(1, model.hparams["vocab_size"], sizes)
    return torch.randn(*sizes, size)


def _layers(model: Exportable) -> Iterable[RecurrentLayer]:
    """The layers of a model in one direction."""
    return cast(Iterable[RecurrentLayer], cast(Stepping, model).recurrent.layers)


def _answer(model: Exportable, logits: Tensor) -> Tensor:
    """The answer from the model's logits, of whole sequences or of a step."""
    if isinstance(model, LanguageModel):
        # Padding, the first id, never comes next: the model has no logit for it.
        return functional.pad(torch.log_softmax(logits, -1), (1, 0), value=-torch.inf)
    if isinstance(model, SequenceTagger):
        return torch.softmax(logits, -1)
    return model.probabilities(logits) if model.hparams["num_classes"] else logits
