"""Runs the model that stands beside this file. It needs neither torch nor rnn-lightning.

    pip install onnxruntime numpy tokenizers
    python example.py "A small miracle of a film." "Two hours I will never get back."
    python example.py sequence.npy sequence.csv

The last form is for a model of features: each file holds a sequence, a row for each step.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

FOLDER = Path(__file__).parent
ABOUT = json.loads((FOLDER / "model.json").read_text("utf-8"))
ENCODER: Any = Tokenizer.from_file(str(FOLDER / "encoder.json")) if ABOUT["reads_text"] else None
SESSION: Any = onnxruntime.InferenceSession(FOLDER / "model.onnx")


def read(word: str) -> tuple[Any, list[str]]:
    """A sequence, the token ids of a text (T,) or features from a file (T, D), and the tokens as they stand there."""
    if ENCODER is None:
        rows = np.load(word) if word.endswith(".npy") else np.loadtxt(word, delimiter=",", ndmin=2)
        if ABOUT["scaling"] is not None:
            rows = (rows - ABOUT["scaling"]["mean"]) / ABOUT["scaling"]["deviation"]
        return rows.astype(np.float32), [""] * len(rows)
    text = unicodedata.normalize("NFC", word)
    found = ENCODER.encode(text, add_special_tokens=False)
    kept = np.arange(len(found.ids))
    if ABOUT["keep"] is not None and len(kept) > sum(ABOUT["keep"]):
        first, last = ABOUT["keep"]
        kept = np.concatenate((kept[:first], kept[len(kept) - last :]))
    return np.array(found.ids, np.int64)[kept], [text[slice(*found.offsets[index])] for index in kept]


def run(sequence: Any) -> Any:
    """What the model says of a sequence."""
    padded = sequence if len(sequence) else np.zeros((1, *sequence.shape[1:]), sequence.dtype)
    return SESSION.run(None, {"inputs": padded[None], "lengths": np.array([len(sequence)])})[0][0]


def in_words(output: Any, tokens: list[str]) -> str:
    """It as `rnn-lightning predict` prints it."""
    if ABOUT["output"] == "value":
        return f"{output:.4f}"
    if ABOUT["output"] == "log_probabilities":
        # Neither padding nor the unknown token, the first two, is an answer.
        after = np.exp(output[max(len(tokens) - 1, 0), 2:].astype(float))
        best = after.argsort()[::-1][:5]
        return "  ".join(f"{ENCODER.id_to_token(index + 2)!r} {after[index] / after.sum():.4f}" for index in best)
    if output.ndim == 2:
        labels = [ABOUT["labels"][index] for index in output.argmax(1)]
        return " ".join(f"{token}/{label}" if token else label for token, label in zip(tokens, labels, strict=False))
    return f"{ABOUT['labels'][output.argmax()]}  {output.max():.4f}"


if __name__ == "__main__":
    if len(sys.argv) == 1:
        sys.exit(__doc__)
    for word in sys.argv[1:]:
        sequence, tokens = read(word)
        print(f"{in_words(run(sequence), tokens)}  {'after  ' * (ABOUT['output'] == 'log_probabilities')}{word}")
