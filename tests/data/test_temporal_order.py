from __future__ import annotations

from collections import Counter

import pytest

from rnn_lightning import TemporalOrder
from tests.data.kinds import everything, ready


@pytest.mark.parametrize(
    ("num_steps", "longest", "first", "second"),
    [
        (100, 110, range(10, 21), range(50, 61)),
        (10, 11, range(1, 3), range(5, 7)),
        (37, 40, range(3, 8), range(18, 23)),
    ],
)
def test_the_class_is_the_order_of_the_two_signs(num_steps: int, longest: int, first: range, second: range) -> None:
    data = ready(TemporalOrder, num_train=4000, num_steps=num_steps)
    assert (data.facts.input_size, data.facts.labels, data.facts.per_step) == (8, ("XX", "XY", "YX", "YY"), False)
    batch = everything(data.train)
    assert batch.targets is not None
    assert set(batch.lengths.tolist()) == set(range(num_steps, longest + 1))
    places: list[set[int]] = [set(), set()]
    for x, length, target in zip(batch.inputs, batch.lengths.tolist(), batch.targets.tolist(), strict=True):
        symbols = "".join("EBabcdXY"[index] for index in x[:length].argmax(1).tolist())
        signs = [step for step, symbol in enumerate(symbols) if symbol in "XY"]
        assert "".join(symbols[step] for step in signs) == data.facts.labels[target]
        assert (symbols[0], symbols[-1]) == ("E", "B")
        assert set(symbols[1:-1]) <= set("abcdXY")
        for place, step in zip(places, signs, strict=True):
            place.add(step)
    assert places == [set(first), set(second)]
    counts = Counter(batch.targets.tolist())
    assert [counts[label] for label in range(4)] == pytest.approx([1000] * 4, rel=0.15)


def test_it_is_the_task_of_the_paper_by_default() -> None:
    data = TemporalOrder()
    assert data.num_steps == 100


def test_below_ten_steps_there_are_no_tenths() -> None:
    with pytest.raises(ValueError, match=r"^num_steps is 9; it must be at least 10$"):
        TemporalOrder(num_steps=9)
