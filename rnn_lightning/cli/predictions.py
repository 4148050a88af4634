"""What came out for each test sequence: test/predictions.jsonl in a run folder, a line a sequence in their order.

Every line has the index of the sequence and its loss; beside them a classifier has target, label and probabilities, a
regression target and value, a tagger how many steps are right and how many there are, a language model the number of
tokens. The last two have a checksum of the targets, by which one test part is told from another. Neither torch nor the
data is needed to read them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rnn_lightning.cli.errors import UserError

FILE = Path("test") / "predictions.jsonl"
_TEXTS = 50
"""Sequences whose text is kept, if they have one: those that a classifier was most sure of, and wrong."""

Columns = Mapping[str, Sequence[Any]]
"""What came out for each sequence of the test part, by its name in a line."""
Arrays = dict[str, np.ndarray[Any, Any]]
"""The same as it is read again; `text` is None where it was not kept."""


def most_wrong(outcomes: Mapping[str, Any], count: int) -> list[int]:
    """The sequences that a classifier was wrong of, those that it was most sure of first."""
    pairs = enumerate(zip(outcomes["target"], outcomes["label"], strict=True))
    wrong = [index for index, (target, label) in pairs if target != label]
    return sorted(wrong, key=lambda index: -max(outcomes["probabilities"][index]))[:count]


def in_lines(outcomes: Columns, text: Callable[[int], str | None]) -> bytes:
    """The file's content.

    Args:
        outcomes: what came out for each test sequence.
        text: gives a sequence of the test part as it can be read, or None.
    """
    texts = {index: text(index) for index in (most_wrong(outcomes, _TEXTS) if "label" in outcomes else ())}
    lines = []
    for index, values in enumerate(zip(*outcomes.values(), strict=True)):
        line = {"index": index, **{name: _short(value) for name, value in zip(outcomes, values, strict=True)}}
        if texts.get(index) is not None:
            line["text"] = texts[index]
        lines.append(json.dumps(line, ensure_ascii=False))
    return "".join(f"{line}\n" for line in lines).encode()


def read(run: Path) -> Arrays | None:
    """What a run's last test kept; None where there is nothing.

    Raises:
        UserError: the file is damaged.
    """
    path = run / FILE
    if not path.is_file():
        return None
    number = 0
    try:
        lines = []
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                lines.append(json.loads(line))
                if lines[-1]["index"] != number - 1:
                    raise ValueError
        found = {name: np.array([line[name] for line in lines]) for name in lines[0] if name != "text"}
        texts = [line.get("text") for line in lines]
        if not all(text is None or isinstance(text, str) for text in texts):
            raise ValueError
        if found["loss"].dtype.kind != "f" or any(values.dtype.kind not in "ifU" for values in found.values()):
            raise ValueError
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise UserError(f"{path}, line {number}, is damaged: run rnn-lightning test --run {run} again") from error
    return {**found, "text": np.array(texts, object)}


def _short(value: Any) -> Any:
    """A number with six digits that count: more are chance, by the order in which a batch is added up."""
    if isinstance(value, list):
        return [_short(one) for one in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value
