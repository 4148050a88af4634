"""Handwritten digits, pixel by pixel: 1,797 images of 8 x 8 (Alpaydin and Kaynak 1998, as scikit-learn ships them).

S images, T = 64 pixels.
"""

from __future__ import annotations

import numpy as np

from rnn_lightning.batch import Facts
from rnn_lightning.data.base import SequenceData, at_least
from rnn_lightning.data.seeded import Array, SeededSequences

_SHARES = {"test": 0.2, "val": 0.1}


class Digits(SequenceData):
    """An image as a sequence of its 64 pixels, from 0 (white) to 1 (black): which digit is it?

    A fifth of the images is for testing, a tenth for validation, the rest for training; scikit-learn brings the images
    (`pip install 'rnn-lightning[baseline]'`). Chance level: one digit in ten.

    Args:
        permute: the pixels come in an order without meaning, the same for all images, and not row by row: neighbours
            in the image are far from each other.
        data_seed: decides which image is in which part, and the order of the pixels.
        batch_size: images in a batch, in each process.
        num_workers: processes that prepare batches beside the training one.

    Raises:
        ValueError: a number is out of range.
    """

    name = "digits"

    def __init__(self, permute: bool = True, data_seed: int = 0, batch_size: int = 64, num_workers: int = 0) -> None:
        super().__init__(batch_size, num_workers)
        at_least("data_seed", data_seed, 0)
        self.permute = permute
        self.data_seed = data_seed
        self.facts = Facts(input_size=1, labels=tuple("0123456789"))

    def prepare_data(self) -> None:
        """Looks whether the images are there.

        Raises:
            ValueError: scikit-learn is not installed.
        """
        _images()

    def setup(self, stage: str) -> None:
        """Makes the three splits.

        Raises:
            ValueError: scikit-learn is not installed.
        """
        images, targets = _images()
        images_seed, pixels_seed = np.random.SeedSequence(self.data_seed).spawn(2)
        if self.permute:
            images = images[:, np.random.default_rng(pixels_seed).permutation(images.shape[1])]
        order = np.random.default_rng(images_seed).permutation(len(images))
        ends = np.cumsum([round(share * len(images)) for share in _SHARES.values()])
        self.test, self.val, self.train = (
            SeededSequences(images[rows], None, targets[rows]) for rows in np.split(order, ends)
        )

    def chance_level(self) -> dict[str, float]:
        """One digit in ten."""
        return {"accuracy": 1 / 10}


def _images() -> tuple[Array, Array]:
    """All images (S, T, 1), and their digits (S,)."""
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as error:
        raise ValueError("Digits needs scikit-learn: pip install 'rnn-lightning[baseline]'") from error
    pixels, digits = load_digits(return_X_y=True)
    return (pixels / 16).astype(np.float32)[..., None], digits.astype(np.int64)
