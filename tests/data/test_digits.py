from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from rnn_lightning import Digits
from tests.conftest import Command
from tests.data.kinds import everything


def _ready(**options: int) -> Digits:
    data = Digits(**options)  # type: ignore[arg-type]
    data.prepare_data()
    data.setup("fit")
    return data


def _all(data: Digits) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (S, 64) and digits (S,) of all three parts."""
    batches = [everything(part) for part in (data.train, data.val, data.test)]
    targets = [batch.targets for batch in batches if batch.targets is not None]
    return torch.cat([batch.inputs[..., 0] for batch in batches]).numpy(), torch.cat(targets).numpy()


def _sorted(rows: np.ndarray) -> list[tuple[float, ...]]:
    return sorted(map(tuple, rows.tolist()))


def test_every_image_is_in_one_part_with_its_digit() -> None:
    data = _ready(permute=False)
    assert [len(part) for part in (data.train, data.val, data.test)] == [1258, 180, 359]
    assert (data.facts.input_size, data.facts.labels, data.facts.per_step) == (1, tuple("0123456789"), False)
    pixels, digits = _all(data)
    original = load_digits()
    wanted = np.concatenate((original.data / 16, original.target[:, None]), 1)
    assert _sorted(np.concatenate((pixels, digits[:, None]), 1)) == _sorted(wanted)
    assert (pixels.min(), pixels.max()) == (0.0, 1.0)


def test_the_pixels_of_all_images_are_permuted_alike() -> None:
    rows, permuted = _all(_ready(permute=False))[0], _all(_ready())[0]
    columns = {column.tobytes(): index for index, column in enumerate(rows.T.copy())}
    order = [columns[column.tobytes()] for column in permuted.T.copy() if column.any()]
    assert len(order) == len(set(order)) == sum(column.any() for column in rows.T)
    assert order != sorted(order)
    neighbours = sum(abs(one - other) == 1 for one, other in pairwise(order))
    assert neighbours < 10


def test_the_seed_decides_parts_and_order() -> None:
    first, again, other = (everything(_ready(data_seed=seed).test) for seed in (0, 0, 1))
    assert torch.equal(first.inputs, again.inputs)
    assert not torch.equal(first.inputs, other.inputs)
    assert first.targets is not None
    assert other.targets is not None
    assert not torch.equal(first.targets, other.targets)


def test_permuting_leaves_the_parts_as_they_are() -> None:
    one, other = everything(_ready(permute=False).test).targets, everything(_ready().test).targets
    assert one is not None
    assert other is not None
    assert torch.equal(one, other)


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^data_seed is -1; it must be at least 0$"):
        Digits(data_seed=-1)


WITHOUT_EXTRA = """
import sys
sys.modules["sklearn"] = None  # as if it were not installed
from rnn_lightning.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("verb", ["fit", "baseline"])
def test_without_scikit_learn_the_extra_is_named(python: Command, verb: str, workplace: object) -> None:
    result = python(WITHOUT_EXTRA, verb, "--data=Digits")
    assert result.code == 2
    assert result.err == "rnn-lightning: Digits needs scikit-learn: pip install 'rnn-lightning[baseline]'\n"
