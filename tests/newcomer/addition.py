"""What a newcomer adds who follows a checklist of CONTRIBUTING.md."""

from __future__ import annotations

from typing import NamedTuple


class Addition(NamedTuple):
    """What is added to the source tree, paths from its root.

    Attributes:
        checklist: heading of the list that is followed.
        name: what stands for `<name>` in the list.
        registered: the name in the registry.
        files: new files, with their content.
        lines: lines for files that are there, each with the pattern of those among which it stands by the alphabet.
        ends: what is added at the end of files that are there.
        fit: options of a training with the new thing.
        verbs: what is done with the trained model.
    """

    checklist: str
    name: str
    registered: str
    files: dict[str, str]
    lines: list[tuple[str, str, str]]
    ends: dict[str, str]
    fit: list[str]
    verbs: list[str]
