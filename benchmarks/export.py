"""An exported model in ONNX Runtime beside torch: one review of 300 words, and one step of it.

    python benchmarks/export.py

The models are of the size of imdb.yaml's: 25,000 words, embeddings of 100 numbers, one layer of 128. An LSTM is one
operator of ONNX, the other layers are a step in a loop.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import onnxruntime
import torch
from side_by_side import Figure, filled, finish, in_turn, medians, parser, ratio, seconds

from rnn_lightning import Facts, SequenceClassifier, TextEncoder
from rnn_lightning.export.files import exported
from rnn_lightning.export.networks import OneStep, Whole, example, initial_state

CELLS = ("lstm", "mingru", "lstm_ln")
TORCH, ONNX, INT8 = "torch", "ONNX Runtime", "ONNX Runtime, 8 bits"


def main() -> None:
    """Measures, and prints a table."""
    made = parser(__doc__)
    made.add_argument("--num_steps", type=int, default=300, help="words of the review")
    made.add_argument("--vocab_size", type=int, default=25_000)
    options = filled(made.parse_args(), repeats=21)
    figures = []
    for cell in CELLS:
        for what, ways in _ways(cell, options.vocab_size, options.num_steps, options.threads).items():
            times = in_turn({name: partial(_mean, work) for name, work in ways.items()}, options.repeats)
            figures.append(Figure(f"{cell}, {what}: ONNX Runtime is faster than torch by", ratio(times, TORCH, ONNX)))
            figures += [Figure(f"{cell}, {what}: {name}", 1000 * t, unit="ms") for name, t in medians(times).items()]
    finish(options, figures)


def _ways(cell: str, vocab_size: int, num_steps: int, threads: int) -> dict[str, dict[str, Callable[[], object]]]:
    """For a review and for a step, each way to run it."""
    torch.manual_seed(0)
    model = SequenceClassifier(cell)
    model.adopt(Facts(None, ("negative", "positive"), TextEncoder([f"word{index}" for index in range(vocab_size)])))
    files = exported(model.eval(), int8=True).files
    session = onnxruntime.SessionOptions()
    session.intra_op_num_threads = threads

    def onnx(name: str, inputs: dict[str, Any]) -> Callable[[], object]:
        return partial(onnxruntime.InferenceSession(files[name], session).run, None, inputs)

    review, lengths = example(model, 1, num_steps), torch.tensor([num_steps])
    arrays = {"inputs": review.numpy(), "lengths": lengths.numpy()}
    state = {tensor.name: tensor.initial for tensor in initial_state(model)}
    of_step = {"inputs": review[:, 0].numpy(), **{name: tensor.numpy() for name, tensor in state.items()}}
    whole, step = torch.inference_mode()(Whole(model)), torch.inference_mode()(OneStep(model))
    return {
        "a review": {
            TORCH: partial(whole, review, lengths),
            ONNX: onnx("model.onnx", arrays),
            INT8: onnx("int8.onnx", arrays),
        },
        "a step": {TORCH: partial(step, review[:, 0], *state.values()), ONNX: onnx("step.onnx", of_step)},
    }


def _mean(work: Callable[[], object], times: int = 10) -> float:
    """Seconds that it takes: the mean of some."""
    return seconds(lambda: [work() for _ in range(times)]) / times


if __name__ == "__main__":
    main()
