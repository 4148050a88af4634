from __future__ import annotations

import pytest

from rnn_lightning import CopyMemory
from rnn_lightning.batch import NO_LABEL
from tests.data.kinds import everything, ready


@pytest.mark.parametrize("num_steps", [1, 2, 30])
def test_ten_letters_come_again_after_the_wait(num_steps: int) -> None:
    data = ready(CopyMemory, num_train=300, num_steps=num_steps)
    assert (data.facts.input_size, data.facts.labels, data.facts.per_step) == (10, tuple("abcdefgh"), True)
    batch = everything(data.train)
    assert batch.targets is not None
    assert batch.inputs.shape == (300, num_steps + 20, 10)
    assert set(batch.lengths.tolist()) == {num_steps + 20}
    seen = set()
    for symbols, targets in zip(batch.inputs.argmax(2).tolist(), batch.targets.tolist(), strict=True):
        letters, waiting, answers = symbols[:10], symbols[10:-10], symbols[-10:]
        assert max(letters) < 8
        assert waiting == [8] * (num_steps - 1) + [9]
        assert answers == [8] * 10
        assert targets == [NO_LABEL] * (num_steps + 10) + letters
        seen |= {*enumerate(letters)}
    assert len(seen) == 80
    assert (batch.inputs.sum(2) == 1).all()


def test_a_wait_of_nothing_is_none() -> None:
    with pytest.raises(ValueError, match=r"^num_steps is 0; it must be at least 1$"):
        CopyMemory(num_steps=0)
