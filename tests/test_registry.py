"""Short names: listed without importing anything heavy, found, and put right where they are nearly right."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnn_lightning import registry
from tests.conftest import Command

OWN = {
    "layers": ["gru", "lstm", "rnn"],
    "tasks": ["SequenceClassifier"],
    "data": ["IMDb", "SyntheticSequences"],
}
GROUPS = list(OWN)


@pytest.mark.parametrize("group", GROUPS)
def test_the_names_of_a_group_are_sorted(group: registry.Group) -> None:
    assert registry.names(group) == sorted(registry.names(group))
    assert set(registry.names(group)) >= set(OWN[group])


@pytest.mark.parametrize(("group", "name"), [(group, name) for group in GROUPS for name in OWN[group]])
def test_a_name_stands_for_a_class(group: registry.Group, name: str) -> None:
    found = registry.resolve(group, name)
    assert isinstance(found, type)
    assert found.__name__.lower() == name.lower()
    assert registry.source(group, name) is None


@pytest.mark.parametrize(
    ("group", "name", "beginning", "tail"),
    [
        ("layers", "lsmt", "there is no recurrent layer 'lsmt'", "; did you mean 'lstm'?"),
        ("layers", "Lstm", "there is no recurrent layer 'Lstm'", "; did you mean 'lstm'?"),
        ("layers", "", "there is no recurrent layer ''", ""),
        ("tasks", "Xyz", "there is no task 'Xyz'", ""),
        ("data", "IMDB", "there is no data set 'IMDB'", "; did you mean 'IMDb'?"),
    ],
)
def test_an_unknown_name_is_told_what_there_is(group: registry.Group, name: str, beginning: str, tail: str) -> None:
    with pytest.raises(ValueError, match="there is no") as error:
        registry.resolve(group, name)
    assert str(error.value) == f"{beginning}; there are {', '.join(registry.names(group))}{tail}"


def test_listing_imports_nothing_heavy(python: Command) -> None:
    lines = (
        "import sys; from rnn_lightning import registry\n"
        "names = [registry.names(group) for group in ('layers', 'tasks', 'data')]\n"
        "print([name for name in ('torch', 'lightning', 'numpy') if name in sys.modules])"
    )
    assert python(lines) == (0, "[]\n", "")


def test_names_of_other_packages_stand_among_our_own(plugin: Path) -> None:
    assert set(registry.names("layers")) >= {"gru", "leaky", "lstm", "rnn"}
    assert registry.names("layers").count("lstm") == 1
    assert registry.resolve("layers", "leaky").__name__ == "Leaky"
    assert registry.resolve("layers", "lstm").__module__ == "rnn_lightning.layers.lstm"
    assert registry.source("layers", "leaky") == "leaky-rnn"
    assert registry.source("layers", "lstm") is None
    assert registry.source("layers", "nothing") is None
    with pytest.raises(ValueError, match=r"there are .*leaky, .*; did you mean 'leaky'"):
        registry.resolve("layers", "leeky")


@pytest.mark.parametrize(
    ("name", "tail"),
    [("lstmm", "; did you mean 'lstm'?"), ("lstm", "; did you mean 'lstm'?"), ("xyz", ""), ("", "")],
)
def test_the_nearest_name_is_offered_where_one_is_near(name: str, tail: str) -> None:
    assert registry.did_you_mean(name, ["gru", "lstm"]) == tail
    assert registry.did_you_mean(name, []) == ""
