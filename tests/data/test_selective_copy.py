from __future__ import annotations

from typing import Any

import pytest

from rnn_lightning import SelectiveCopy
from rnn_lightning.batch import NO_LABEL
from tests.data.kinds import everything, ready


@pytest.mark.parametrize(("num_steps", "num_tokens"), [(64, 4), (20, 8), (3, 3), (1, 1)])
def test_the_letters_are_asked_for_in_their_order(num_steps: int, num_tokens: int) -> None:
    data = ready(SelectiveCopy, num_train=2000, num_steps=num_steps, num_tokens=num_tokens)
    assert (data.facts.input_size, data.facts.labels, data.facts.per_step) == (10, tuple("abcdefgh"), True)
    batch = everything(data.train)
    assert batch.targets is not None
    assert batch.inputs.shape == (2000, num_steps + num_tokens, 10)
    places = set()
    for symbols, targets in zip(batch.inputs.argmax(2).tolist(), batch.targets.tolist(), strict=True):
        read, asked = symbols[:num_steps], symbols[num_steps:]
        assert asked == [9] * num_tokens
        assert targets == [NO_LABEL] * num_steps + [symbol for symbol in read if symbol < 8]
        assert read.count(8) == num_steps - num_tokens
        places |= {step for step, symbol in enumerate(read) if symbol < 8}
    assert places == set(range(num_steps))
    assert (batch.inputs.sum(2) == 1).all()


def test_places_are_drawn_evenly() -> None:
    batch = everything(ready(SelectiveCopy, num_train=8000, num_steps=16).train)
    counts = (batch.inputs[:, :16, :8].sum(2)).sum(0)
    assert counts.tolist() == pytest.approx([2000] * 16, rel=0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_steps": 0}, "num_steps is 0; it must be at least 1"),
        ({"num_tokens": 0}, "num_tokens is 0; it must be at least 1"),
        ({"num_tokens": 65}, "num_tokens is 65, above num_steps, which is 64"),
    ],
)
def test_refuses(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        SelectiveCopy(**options)
