from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from rnn_lightning.batch import PAD, UNKNOWN
from rnn_lightning.data import corpus as corpus_module
from rnn_lightning.data.base import Sequences
from rnn_lightning.data.imdb import IMDb
from rnn_lightning.data.reviews import read
from rnn_lightning.text import TextEncoder
from tests.archives import members, pack


def _ready(path: Path, **options: Any) -> IMDb:
    data = IMDb(str(path), **options)
    data.prepare_data()
    data.setup("fit")
    return data


def _ids(sequences: Sequences) -> list[list[int]]:
    batch = sequences.__getitems__(list(range(len(sequences))))
    return [row[:length].tolist() for row, length in zip(batch.inputs, batch.lengths, strict=True)]


def _film_sets(data: IMDb) -> list[set[int]]:
    assert data.corpus is not None
    return [set(data.corpus.films[part.rows].tolist()) for part in (data.train, data.val)]


def _texts(path: Path, data: IMDb, part: Any) -> list[str]:
    texts = read(path).texts
    return [texts[row] for row in part.rows]


def test_splits_of_whole_films(archive: Path) -> None:
    for seed in range(20):
        data = _ready(archive, val_fraction=0.3, split_seed=seed)
        train, val = _film_sets(data)
        assert not train & val
        assert len(data.train) + len(data.val) == 10
        assert len(data.val) >= 3
        assert len(data.test) == 10
        # One film less would not have been enough, and no film has more than 3 reviews.
        assert len(data.val) < 6
        assert "no film in both" in data.summary()


def test_split_is_decided_by_its_seed_alone(archive: Path) -> None:
    torch.manual_seed(1)
    first = _ready(archive, val_fraction=0.3)
    torch.manual_seed(2)
    again = _ready(archive, val_fraction=0.3, vocab_size=3, max_length=2)
    assert first.val.rows.tolist() == again.val.rows.tolist()
    others = {tuple(_ready(archive, val_fraction=0.3, split_seed=seed).val.rows) for seed in range(10)}
    assert len(others) > 1


def test_without_addresses_the_split_is_by_review_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = {name: content for name, content in members().items() if "urls" not in name}
    with caplog.at_level(logging.WARNING, "rnn_lightning"):
        data = _ready(pack(tmp_path / "a.tar.gz", files), val_fraction=0.25)
    assert len(data.val) == 3
    assert len(data.train) == 7
    (message,) = caplog.messages
    assert message.startswith("The films of 10 training reviews are unknown")
    assert "films unknown" in data.summary()


def test_fraction_that_leaves_nothing(archive: Path) -> None:
    with pytest.raises(ValueError, match=r"val_fraction 0\.99 leaves no training reviews: all 10 are in validation"):
        _ready(archive, val_fraction=0.99)


def test_vocabulary_is_made_from_the_training_part_alone(archive: Path) -> None:
    data = _ready(archive, val_fraction=0.3)
    assert data.facts.encoder is not None
    words = data.facts.encoder.words
    texts = _texts(archive, data, data.train)
    known = {id_: word for word, id_ in TextEncoder([])._tokenizer.get_vocab().items()}
    assert known == {PAD: "<pad>", UNKNOWN: "<unk>"}
    encoder = TextEncoder(words)
    ids = [id_ for review in encoder.encode(texts) for id_ in review]
    assert UNKNOWN not in ids
    counts = Counter(words[id_ - 2] for id_ in ids)
    # The most frequent first; among equals in the order of the alphabet.
    assert words == sorted(counts, key=lambda word: (-counts[word], word))
    assert "testimony" not in words
    small = _ready(archive, val_fraction=0.3, vocab_size=7)
    assert small.facts.encoder is not None
    assert small.facts.encoder.words == words[:7]
    assert small.facts.encoder.vocab_size == 9


def test_vocabulary_does_not_know_the_test_part(tmp_path: Path) -> None:
    files = members()
    encoders = []
    for test_text in (b"Awful", b"zero zero zero wonderful"):
        files = {name: test_text if "/test/" in name else content for name, content in files.items()}
        data = _ready(pack(tmp_path / "a.tar.gz", files))
        encoders.append(data.facts.encoder)
    assert encoders[0] == encoders[1]


@pytest.mark.parametrize("truncate", ["head", "tail", "head_tail"])
@pytest.mark.parametrize("vocab_size", [5, 25_000])
@pytest.mark.parametrize("max_length", [1, 6, None])
def test_batches_are_what_the_text_encoder_makes_of_the_texts(
    archive: Path, truncate: Any, vocab_size: int, max_length: int | None
) -> None:
    data = _ready(archive, vocab_size=vocab_size, max_length=max_length, truncate=truncate)
    assert data.facts.encoder is not None
    for part in (data.train, data.val, data.test):
        expected = data.facts.encoder.batch(_texts(archive, data, part))
        batch = part.__getitems__(list(range(len(part))))
        assert torch.equal(batch.inputs, expected.inputs)
        assert torch.equal(batch.lengths, expected.lengths)
        assert batch.lengths.tolist() == part.lengths.tolist()
        assert batch.inputs.dtype == batch.lengths.dtype == torch.int64


def test_batches_are_what_the_text_encoder_makes_of_the_real_texts(prepared_archive: Path) -> None:
    data = _ready(prepared_archive)
    assert data.facts.encoder is not None
    rows = list(range(0, len(data.test), 50))
    texts = _texts(prepared_archive, data, data.test)
    expected = data.facts.encoder.batch([texts[row] for row in rows])
    batch = data.test.__getitems__(rows)
    assert torch.equal(batch.inputs, expected.inputs)
    assert torch.equal(batch.lengths, expected.lengths)


def test_targets(archive: Path) -> None:
    data = _ready(archive)
    assert data.facts.labels == ("negative", "positive")
    assert data.facts.input_size is None
    targets = data.test.__getitems__(list(range(10))).targets
    assert targets is not None
    assert targets.dtype == torch.int64
    assert targets.tolist() == [0, 1] * 5


def test_empty_review_is_kept(archive: Path) -> None:
    data = _ready(archive)
    assert data.test.lengths[4] == 0
    batch = data.test[4]
    assert batch.inputs.tolist() == [[PAD]]
    assert batch.lengths.tolist() == [0]


def test_loaders_give_every_review(archive: Path) -> None:
    data = _ready(archive, batch_size=3, val_fraction=0.3)
    for loader, part in (
        (data.train_dataloader(), data.train),
        (data.val_dataloader(), data.val),
        (data.test_dataloader(), data.test),
        (data.predict_dataloader(), data.test),
    ):
        rows = [
            tuple(row[:length].tolist()) for batch in loader for row, length in zip(batch[0], batch[1], strict=True)
        ]
        assert Counter(rows) == Counter(tuple(row) for row in _ids(part))
    assert rows == [tuple(row) for row in _ids(data.test)]


def test_worker_process_gives_the_same(archive: Path) -> None:
    here, there = (_ready(archive, batch_size=4, num_workers=workers) for workers in (0, 1))
    for a, b in zip(here.test_dataloader(), there.test_dataloader(), strict=True):
        assert torch.equal(a.inputs, b.inputs)


def test_model_with_an_encoder_gets_its_own_ids(archive: Path) -> None:
    encoder = TextEncoder(["wonderful", "zebra", "film", "."], max_length=4, truncate="tail")
    data = IMDb(str(archive))
    data.trainer = SimpleNamespace(lightning_module=SimpleNamespace(encoder=encoder))  # type: ignore[assignment]
    data.setup("test")
    assert data.facts.encoder is encoder
    for part in (data.train, data.val, data.test):
        expected = encoder.batch(_texts(archive, data, part))
        assert torch.equal(part.__getitems__(list(range(len(part)))).inputs, expected.inputs)
    assert "vocabulary 4 words" in data.summary()


def test_model_without_an_encoder_yet(archive: Path) -> None:
    data = IMDb(str(archive))
    data.trainer = SimpleNamespace(lightning_module=SimpleNamespace(encoder=None))  # type: ignore[assignment]
    data.setup("fit")
    assert data.facts == _ready(archive).facts


def test_other_settings_cost_no_new_pass(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _ready(archive)

    def refuse(*args: object) -> None:
        raise AssertionError("tokenised again")

    monkeypatch.setattr(corpus_module, "_tokenized", refuse)
    for options in ({"vocab_size": 3}, {"split_seed": 5}, {"max_length": 3, "truncate": "head"}, {"val_fraction": 0.5}):
        _ready(archive, **options)


def test_summary(archive: Path) -> None:
    data = _ready(archive, vocab_size=4, val_fraction=0.3)
    assert data.facts.encoder is not None
    ids = [
        id_
        for review in TextEncoder(data.facts.encoder.words).encode(_texts(archive, data, data.train))
        for id_ in review
    ]
    share = 100 * np.mean([id_ != UNKNOWN for id_ in ids])
    assert data.summary() == (
        f"20 reviews, vocabulary 4 words ({share:.1f} % of the training tokens), "
        f"{len(data.train)} train / {len(data.val)} validation / 10 test, no film in both"
    )


def test_real_archive(prepared_archive: Path) -> None:
    data = _ready(prepared_archive)
    train, val = _film_sets(data)
    assert not train & val
    assert 2_500 <= len(data.val) < 2_530
    assert len(data.train) + len(data.val) == len(data.test) == 25_000
    assert 0.97 < data.coverage < 0.99
    assert data.facts.encoder is not None
    assert data.facts.encoder.vocab_size == 25_002
    assert {"the", ".", "isn't"} < set(data.facts.encoder.words)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vocab_size": 0}, "vocab_size is 0; it must be at least 1"),
        ({"max_length": 0}, "max_length is 0; it must be at least 1"),
        ({"split_seed": -1}, "split_seed is -1; it must be at least 0"),
        ({"batch_size": 0}, "batch_size is 0; it must be at least 1"),
        ({"num_workers": -1}, "num_workers is -1; it must be at least 0"),
        ({"val_fraction": 0.0}, "val_fraction is 0.0; it must lie between 0 and 1"),
        ({"val_fraction": 1.0}, "val_fraction is 1.0; it must lie between 0 and 1"),
        ({"truncate": "middle"}, "truncate is 'middle', not one of head, tail, head_tail"),
    ],
)
def test_refuses(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        IMDb(**options)
