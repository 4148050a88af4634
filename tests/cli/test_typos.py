"""Whatever is mistyped, in a config or on the command line, is told with its line and the name that was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnn_lightning.cli import configs
from tests.cli.helpers import one_mistake
from tests.cli.mutations import Mutation, mutations, refused
from tests.conftest import Result

ALL = [mutation for name in configs.shipped() for mutation in mutations(name)]
FEW = ALL[::9]


def _hold(mutation: Mutation, capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.yaml").write_text(mutation.text, "utf-8")
    code = refused(Path("mine.yaml"))
    said = one_mistake(Result(code, *capsys.readouterr()), f"mine.yaml, line {mutation.line}: ")
    if mutation.right is not None:
        assert f"'{mutation.wrong}'" in said
        assert f"did you mean '{mutation.right}'?" in said


@pytest.mark.parametrize("mutation", FEW, ids=str)
def test_a_slip_of_the_finger_in_a_config_is_told(
    workplace: Path, capsys: pytest.CaptureFixture[str], mutation: Mutation
) -> None:
    _hold(mutation, capsys)


@pytest.mark.slow
@pytest.mark.parametrize("mutation", ALL, ids=str)
def test_any_slip_of_the_finger_in_a_shipped_config_is_told(
    workplace: Path, capsys: pytest.CaptureFixture[str], mutation: Mutation
) -> None:
    _hold(mutation, capsys)
