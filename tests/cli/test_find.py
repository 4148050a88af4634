"""`find-lr` and `find-batch-size`: what they suggest, from what, and that nothing of them stays."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.image import imread

from rnn_lightning.cli.errors import TrainingError
from rnn_lightning.cli.find_batch_size import choice, is_fast_enough
from rnn_lightning.cli.find_lr import smoothed, suggestion
from tests.cli.helpers import one_mistake
from tests.conftest import SMALL, SMALL_REVIEWS, Command

SOON = SMALL[:-1]


def _suggested(out: str) -> float:
    found = re.fullmatch(r"Try --(?:optimizer\.lr|data\.batch_size) ([\d.e+-]+)", out.splitlines()[-1])
    assert found is not None, out
    return float(found[1])


def test_a_learning_rate_is_suggested_and_drawn_and_nothing_else_stays(command: Command) -> None:
    result = command("find-lr", *SOON, "--model.hidden_size=32")
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines()[0] == "Learning rates of lstm on synthetic"
    assert 3e-4 < _suggested(result.out) < 0.1
    assert [path.name for path in Path().iterdir()] == ["lr_find.png"]
    assert imread("lr_find.png").std() > 0


def test_neither_rate_nor_schedule_nor_callbacks_nor_limits_have_a_part_in_the_search(command: Command) -> None:
    plain = command("find-lr", *SOON)
    more = command(
        *("find-lr", *SOON, "--lr_scheduler=OneCycle", "--optimizer.lr=0.5", "--trainer.max_epochs=1"),
        *("--config=presets/overfit.yaml", "--config=presets/limit.yaml", "--output=else/where.png"),
    )
    assert more.code == 0, more.err
    assert _suggested(more.out) == _suggested(plain.out)
    assert sorted(path.name for path in Path().iterdir()) == ["else", "lr_find.png"]


def test_a_task_of_one_batch_an_epoch_is_searched_too(command: Command) -> None:
    result = command("find-lr", "--config", "next_word.yaml", "--model.hidden_size=16")
    assert result.code == 0, result.err
    assert 1e-3 < _suggested(result.out) < 0.1


def test_where_there_is_nothing_to_see_a_line_says_so(command: Command) -> None:
    result = command("find-lr", *SOON, "--optimizer", "SGD", "--optimizer.momentum", "1e30")
    assert result.code == 1
    assert result.err.startswith("rnn-lightning: the loss is no finite number, or has grown 4 times, after ")
    result = command("find-lr", *SOON, "--optimizer.weight_decay=0", "--data.num_train=64", "--optimizer.maximize=true")
    assert result.code == 1
    assert "rnn-lightning: the loss never falls with rates from 1e-05 to " in result.err
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("verb", ["find-lr", "find-batch-size"])
def test_wrong_words_are_told(command: Command, verb: str) -> None:
    one_mistake(command(verb, "--model.hiden_size=4"), "did you mean 'hidden_size'?")
    one_mistake(command(verb, "--checkpoint=null"), f"{verb} does not take --checkpoint: it only tries something out")
    one_mistake(command(verb, "lstm.yaml"), f"'lstm.yaml' belongs to no option of {verb}")
    one_mistake(command(verb, "--config", "lstmm.yaml"), "did you mean 'lstm.yaml'?")
    assert list(Path().iterdir()) == []


def test_a_picture_that_cannot_be_written_is_told(command: Command) -> None:
    Path("file").write_text("")
    one_mistake(command("find-lr", *SOON, "--output=file/x.png"), "file/x.png cannot be written")


def test_without_matplotlib_the_suggestion_stands_alone(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = command("find-lr", *SOON)
    assert (result.code, result.err) == (0, "")
    assert 1e-4 < _suggested(result.out) < 1
    assert list(Path().iterdir()) == []


def test_batch_sizes_are_measured_and_one_of_them_suggested(command: Command) -> None:
    result = command("find-batch-size", *SOON)
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[0] == "Batch sizes of lstm on synthetic"
    sizes = [int(line.split()[0].replace(",", "")) for line in lines[2:-2]]
    assert sizes == [16 * 2**number for number in range(len(sizes))]
    assert sizes[-1] <= 256  # there are 300 sequences
    assert _suggested(result.out) in sizes
    assert list(Path().iterdir()) == []


def test_reviews_are_measured_too(command: Command, archive: Path) -> None:
    # There are fewer than 16 for training.
    result = command("find-batch-size", *SMALL_REVIEWS, f"--data.path={archive}")
    one_mistake(result, "find-batch-size begins with 16 sequences, and a batch has ", " sequences at most")


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=60))
def test_smoothed_losses_are_means_of_those_up_to_each(losses: list[float]) -> None:
    weights = [0.9 ** np.arange(count)[::-1] for count in range(1, len(losses) + 1)]
    wanted = [np.average(losses[: len(weight)], weights=weight) for weight in weights]
    assert smoothed(losses) == pytest.approx(wanted)


def test_the_suggestion_is_where_the_loss_has_come_a_quarter_of_its_way_down() -> None:
    rates = [10.0**power for power in range(12)]
    losses = [1.1, 0.9, 1.0, 1.0, 1.0, 1.05, 0.9, 0.81, 0.79, 0.2, 5.0, 0.3]
    assert suggestion(rates, losses) == 1e8  # 0.8 is a quarter of the way from 1.0 to 0.2
    with pytest.raises(TrainingError, match="the loss never falls with rates from 1 to 1e\\+11: look at the targets"):
        suggestion(rates, [1.0, 0.1, *losses[2:]])


@given(st.lists(st.floats(0.01, 10), min_size=20, max_size=60))
def test_the_suggestion_is_never_above_the_rate_with_the_lowest_loss(losses: list[float]) -> None:
    rates = [1.1**power for power in range(len(losses))]
    if min(losses) not in losses[:5] and min(losses) < sum(losses[:5]) / 5:
        assert rates[4] < suggestion(rates, losses) <= rates[losses.index(min(losses))]


def test_the_search_ends_when_two_sizes_in_a_row_were_not_worth_it() -> None:
    speeds = [100.0, 180.0, 150.0, 300.0, 310.0, 320.0]
    ends = [is_fast_enough(dict(enumerate(speeds[:count]))) for count in range(len(speeds) + 1)]
    assert ends == [False, False, False, False, False, False, True]
    assert choice(dict(enumerate(speeds))) == 3


@given(st.dictionaries(st.integers(1, 10_000), st.floats(1, 1e6), min_size=1))
def test_no_larger_size_is_clearly_faster_than_the_choice(speeds: dict[int, float]) -> None:
    chosen = choice(speeds)
    assert all(speed <= 1.1 * speeds[chosen] for speed in speeds.values())
    assert all(1.1 * speed < max(speeds.values()) for size, speed in speeds.items() if size < chosen)
