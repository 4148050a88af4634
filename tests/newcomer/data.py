"""A newcomer's data set, by the checklist of CONTRIBUTING.md."""

from __future__ import annotations

from tests.newcomer.addition import Addition

_DATA = '''\
"""Short messages from one text file, a message a line: its label, a tab, its text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from rnn_lightning.batch import Batch, Facts
from rnn_lightning.data.base import SequenceData, Sequences, at_least
from rnn_lightning.text import TextEncoder, lexicon, most_frequent


class ShortMessages(SequenceData):
    """Messages with a label each. Of ten messages the ninth is for validation, the tenth for testing.

    Args:
        path: the file, UTF-8.
        vocab_size: words in the vocabulary, the most frequent ones of the training messages.
        batch_size: messages in a batch, in each process.
        num_workers: processes that prepare batches beside the training one.

    Raises:
        ValueError: a number is out of range.
    """

    name = "short_messages"

    def __init__(self, path: str, vocab_size: int = 10_000, batch_size: int = 32, num_workers: int = 0) -> None:
        super().__init__(batch_size, num_workers)
        at_least("vocab_size", vocab_size, 1)
        self.path = Path(path)
        self.vocab_size = vocab_size

    def prepare_data(self) -> None:
        """Looks whether the file can be read.

        Raises:
            ValueError: it cannot.
        """
        self._read()

    def setup(self, stage: str) -> None:
        """Makes the three splits, encoded for the model at work.

        Raises:
            ValueError: the file cannot be read.
        """
        labels, texts = self._read()
        names = tuple(sorted(set(labels)))
        targets = np.array([names.index(label) for label in labels])
        place = np.arange(len(texts)) % 10
        splits = [np.flatnonzero(place < 8), np.flatnonzero(place == 8), np.flatnonzero(place == 9)]
        encoder = self.model_encoder or self._encoder([texts[i] for i in splits[0]])
        self.facts = Facts(None, names, encoder)
        self.train, self.val, self.test = (
            _Messages([texts[i] for i in rows], targets[rows], encoder) for rows in splits
        )

    def _encoder(self, texts: Sequence[str]) -> TextEncoder:
        words = lexicon(texts)
        ids = [i for text in TextEncoder(words).encode(texts) for i in text]
        return TextEncoder(most_frequent(words, np.bincount(ids, minlength=len(words) + 2), self.vocab_size))

    def _read(self) -> tuple[list[str], list[str]]:
        try:
            lines = self.path.read_text("utf-8").splitlines()
        except UnicodeDecodeError as error:
            raise ValueError(f"{self.path} is not UTF-8 text (byte {error.start})") from error
        except OSError as error:
            raise ValueError(f"{self.path} cannot be read: {error.strerror}") from error
        for number, line in enumerate(lines, 1):
            if "\\t" not in line:
                raise ValueError(f"{self.path}, line {number}: there is no tab between label and text")
        if len(lines) < 10:
            raise ValueError(f"{self.path} has {len(lines)} messages; 10 are needed for three parts")
        pairs = [line.partition("\\t") for line in lines]
        return [label for label, _, _ in pairs], [text for _, _, text in pairs]


class _Messages(Sequences):
    def __init__(self, texts: list[str], targets: np.ndarray, encoder: TextEncoder) -> None:
        self.texts = texts
        self.targets = torch.from_numpy(targets)
        self.encoder = encoder
        self.lengths = np.array([len(ids) for ids in encoder.encode(texts)])

    def __getitems__(self, indices: list[int]) -> Batch:
        batch = self.encoder.batch([self.texts[i] for i in indices])
        return batch._replace(targets=self.targets[indices])
'''
_DATA_TEST = """\
from __future__ import annotations

from pathlib import Path

import pytest

from rnn_lightning import ShortMessages

LINES = [f"{'spam' if i % 3 else 'ham'}\\tmessage number {i}" for i in range(20)]


def _ready(path: Path, content: str | bytes) -> ShortMessages:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    data = ShortMessages(str(path), vocab_size=5)
    data.prepare_data()
    data.setup("fit")
    return data


def test_each_message_is_in_one_part_with_its_label(tmp_path: Path) -> None:
    data = _ready(tmp_path / "messages", "\\n".join(LINES))
    assert [len(part) for part in (data.train, data.val, data.test)] == [16, 2, 2]
    assert data.facts.labels == ("ham", "spam")
    assert data.facts.encoder is not None
    assert data.facts.encoder.vocab_size == 7
    batch = data.test.__getitems__([1, 0])
    assert batch.targets is not None
    assert batch.targets.tolist() == [1, 0]
    assert batch.inputs.tolist() == data.facts.encoder.batch(["message number 19", "message number 9"]).inputs.tolist()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "has 0 messages; 10 are needed"),
        ("\\n".join(LINES[:9]), "has 9 messages; 10 are needed"),
        ("\\n".join([*LINES, "no label"]), "line 21: there is no tab between label and text"),
        (b"ham\\tcaf\\xe9", "is not UTF-8 text .byte 7"),
    ],
)
def test_damage_is_told(content: str | bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=said):
        _ready(tmp_path / "messages", content)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read: No such file or directory"):
        ShortMessages(str(tmp_path / "messages")).prepare_data()
"""

DATA = Addition(
    checklist="Add a data set",
    name="short_messages",
    registered="ShortMessages",
    files={
        "rnn_lightning/data/short_messages.py": _DATA,
        "tests/data/test_short_messages.py": _DATA_TEST,
    },
    lines=[
        (
            "rnn_lightning/registry.py",
            '        "ShortMessages": "rnn_lightning.data.short_messages:ShortMessages",',
            r'        "\w+": "rnn_lightning\.data\.',
        ),
        (
            "rnn_lightning/__init__.py",
            "    from rnn_lightning.data.short_messages import ShortMessages",
            r"    from rnn_lightning\.",
        ),
        ("rnn_lightning/__init__.py", '    "ShortMessages": "data.short_messages",', r'    "\w+": "'),
        ("rnn_lightning/__init__.py", '    "ShortMessages",', r'    "[A-Z]\w+",'),
    ],
    ends={},
    fit=["--data", "ShortMessages", "--data.path", "messages.tsv"],
    verbs=["test"],
)
