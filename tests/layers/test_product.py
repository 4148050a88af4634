"""The product by either library against torch's own linear map."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from rnn_lightning.layers import product
from tests.layers.helpers import TOLERANCE, assert_close, gradients, projection, random


@pytest.mark.parametrize("one_dnn", [False, True])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("shape", [(7, 3), (4, 7, 3), (1, 3), (0, 3)])
def test_either_library_gives_the_same(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], with_bias: bool, dtype: torch.dtype, one_dnn: bool
) -> None:
    if one_dnn and not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        pytest.skip("this build of torch has no oneDNN")
    monkeypatch.setattr(product, "_is_amd", lambda: one_dnn)
    # Strided as the time-major view of a batch is.
    x = random(*reversed(shape), dtype=dtype).permute(*reversed(range(len(shape)))).requires_grad_()
    weight, bias = (random(*size, seed=1, dtype=dtype).requires_grad_() for size in ((5, 3), (5,)))
    sources = [x, weight, bias] if with_bias else [x, weight]
    found = product.linear(x, weight, bias if with_bias else None)
    wanted = functional.linear(x, weight, bias if with_bias else None)
    assert_close([found], [wanted], TOLERANCE[dtype])
    assert_close(gradients(projection([found]), sources), gradients(projection([wanted]), sources), TOLERANCE[dtype])
