"""Whatever is mistyped, in a config or on the command line, is told with its line and the name that was meant."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rnn_lightning.cli import configs
from rnn_lightning.cli.arguments import FIXED, arguments, classes
from tests.cli.helpers import one_mistake
from tests.cli.mutations import Mutation, mutations, refused, typos
from tests.conftest import Result

ALL = [mutation for name in configs.shipped() for mutation in mutations(name)]
FEW = ALL[::12]


def _hold(mutation: Mutation, capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.yaml").write_text(mutation.text, "utf-8")
    code = refused("--config=mine.yaml")
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


def _flags() -> list[tuple[str, str, str]]:
    """An option that chooses the class, the section and the name of an option, for all of all classes."""
    chosen = [(s, name, owner) for s in configs.CHOSEN for name, owner in classes(s).items()]
    fixed = [(section, "", owner) for section, owner in FIXED.items()]
    return [
        (f"--{section}={name}" if name else "", section, option)
        for section, name, owner in (*chosen, *fixed)
        for option in arguments(owner)
        if len(option) > 1
    ]


def _hold_flag(choosing: str, section: str, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    # An abbreviation is a typo too.
    for typo in (*typos(option, len(option) // 2), option[:-1]):
        words = [choosing] if choosing else []
        code = refused(*words, f"--{section}.{typo}=3")
        said = one_mistake(Result(code, *capsys.readouterr()), typo)
        assert re.search(rf"did you mean '(--{section}\.)?{option}'\?", said), said


ALL_FLAGS = _flags()


@pytest.mark.parametrize(("choosing", "section", "option"), ALL_FLAGS[::23])
def test_a_mistyped_or_abbreviated_option_is_told(
    workplace: Path, capsys: pytest.CaptureFixture[str], choosing: str, section: str, option: str
) -> None:
    _hold_flag(choosing, section, option, capsys)


@pytest.mark.slow
@pytest.mark.parametrize(("choosing", "section", "option"), ALL_FLAGS)
def test_any_mistyped_or_abbreviated_option_is_told(
    workplace: Path, capsys: pytest.CaptureFixture[str], choosing: str, section: str, option: str
) -> None:
    _hold_flag(choosing, section, option, capsys)
