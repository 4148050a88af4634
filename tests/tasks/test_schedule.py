"""The learning rate goes up and down once, as a plain formula says."""

from __future__ import annotations

import math

import pytest
import torch

from rnn_lightning.tasks.schedule import OneCycle

LR = 0.02


def _rates(total: int, warmup: float, lrs: tuple[float, ...] = (LR,)) -> list[list[float]]:
    """The rates that each optimiser step is made with, and the one left after the last, by parameter group."""
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in lrs]
    optimizer = torch.optim.SGD(groups)
    schedule = OneCycle(optimizer, warmup)
    schedule.total_steps = total
    rates = []
    for _ in range(total):
        rates.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        schedule.step()
    return [*rates, [group["lr"] for group in optimizer.param_groups]]


def _formula(step: int, total: int, warmup: float) -> float:
    top = warmup * total
    if step < top:
        return LR * (0.04 + 0.96 * (1 - math.cos(math.pi * step / top)) / 2)
    return LR * (1e-4 + (1 - 1e-4) * (1 + math.cos(math.pi * (step - top) / (total - top))) / 2)


@pytest.mark.parametrize("total", [8, 100, 703])
@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.25, 0.5])
def test_the_rate_follows_two_cosines(total: int, warmup: float) -> None:
    rates = [rate for (rate,) in _rates(total, warmup)]
    assert rates == pytest.approx([_formula(step, total, warmup) for step in range(total + 1)], rel=1e-9)


@pytest.mark.parametrize(("total", "warmup", "peak"), [(100, 0.25, 25), (40, 0.5, 20), (60, 0.0, 0), (50, 1.0, 50)])
def test_the_peak_is_the_rate_of_the_optimiser_at_the_end_of_the_warmup(total: int, warmup: float, peak: int) -> None:
    rates = [rate for (rate,) in _rates(total, warmup)]
    assert rates[peak] == pytest.approx(LR, rel=1e-12)
    assert max(rates) == pytest.approx(LR, rel=1e-12)
    assert rates.index(max(rates)) == peak
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)


def test_the_first_and_the_last_rate_are_small() -> None:
    rates = [rate for (rate,) in _rates(1000, 0.25)]
    assert rates[0] == pytest.approx(0.04 * LR)
    assert rates[-1] == pytest.approx(1e-4 * LR)
    assert 1e-4 * LR < rates[-2] < 1.2e-4 * LR


def test_without_a_warmup_it_begins_at_the_peak() -> None:
    assert _rates(10, 0.0)[0] == [pytest.approx(LR)]


def test_with_nothing_but_warmup_it_ends_at_the_peak() -> None:
    rates = [rate for (rate,) in _rates(10, 1.0)]
    assert rates[0] == pytest.approx(0.04 * LR)
    assert rates[-1] == pytest.approx(LR)


def test_a_step_too_many_stays_at_the_end() -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=LR)
    schedule = OneCycle(optimizer)
    schedule.total_steps = 4
    for _ in range(9):
        optimizer.step()
        schedule.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(1e-4 * LR)


def test_each_parameter_group_has_its_own_peak() -> None:
    for first, second in _rates(20, 0.25, (0.1, 0.001)):
        assert first == pytest.approx(100 * second)


@pytest.mark.parametrize("warmup", [-0.01, 1.01, 2, math.nan])
def test_a_warmup_that_is_no_share_is_refused(warmup: float) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))])
    with pytest.raises(ValueError, match="it is a share of the steps, from 0 to 1") as error:
        OneCycle(optimizer, warmup)
    assert str(error.value).startswith(f"warmup is {warmup};")


def test_it_goes_on_where_it_was_saved() -> None:
    def make() -> tuple[torch.optim.Optimizer, OneCycle]:
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)
        schedule = OneCycle(optimizer)
        schedule.total_steps = 12
        return optimizer, schedule

    optimizer, schedule = make()
    for _ in range(5):
        optimizer.step()
        schedule.step()
    other_optimizer, other = make()
    other_optimizer.load_state_dict(optimizer.state_dict())
    other.load_state_dict(schedule.state_dict())
    for _ in range(7):
        for one, plan in ((optimizer, schedule), (other_optimizer, other)):
            one.step()
            plan.step()
        assert optimizer.param_groups[0]["lr"] == other_optimizer.param_groups[0]["lr"]
