from __future__ import annotations

import pytest

from rnn_lightning import AddingProblem
from tests.data.kinds import everything, ready


@pytest.mark.parametrize("num_steps", [2, 3, 10, 51])
def test_the_target_is_the_sum_of_the_two_marked_numbers(num_steps: int) -> None:
    data = ready(AddingProblem, num_train=500, num_steps=num_steps)
    batch = everything(data.train)
    assert batch.targets is not None
    places = set()
    for sequence, target in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True):
        marked = [step for step, (_, mark) in enumerate(sequence) if mark]
        assert [sequence[step][1] for step in marked] == [1.0, 1.0]
        assert marked[0] < num_steps // 2 <= marked[1]
        assert target == pytest.approx(sum(sequence[step][0] for step in marked), abs=1e-6)
        places |= set(marked)
    assert places == set(range(num_steps))


def test_numbers_are_drawn_evenly() -> None:
    numbers = everything(ready(AddingProblem, num_train=500).train).inputs[..., 0].flatten()
    assert 0 <= numbers.min() < 0.001
    assert 0.999 < numbers.max() < 1
    assert numbers.histc(10, 0, 1).tolist() == pytest.approx([len(numbers) / 10] * 10, rel=0.05)


def test_facts() -> None:
    data = ready(AddingProblem)
    assert (data.facts.input_size, data.facts.labels, data.facts.per_step) == (2, (), False)
    assert set(data.train.lengths) == {200}


def test_one_step_has_no_two_halves() -> None:
    with pytest.raises(ValueError, match=r"^num_steps is 1; it must be at least 2$"):
        AddingProblem(num_steps=1)
