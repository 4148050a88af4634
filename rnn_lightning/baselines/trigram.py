"""The trigram language model, the bar for every other one: interpolated, with modified Kneser-Ney smoothing.

    p(w | u v) = (c(u v w) - d) / c(u v) + g(u v) p(w | v)

The discount d depends on the count and goes to the model of the shorter context, by the weight g; where a context was
never seen, g is 1. Shorter contexts count in how many different surroundings a token occurs, not how often. Below the
unigram all tokens are equally likely (Chen and Goodman 1999, https://doi.org/10.1006/csla.1999.0128, equations 21 to
26). V token ids, N tokens of a text.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnn_lightning.batch import PAD, Ragged

Array = np.ndarray[Any, Any]


class Trigram:
    """Probabilities of a token after two others.

    Args:
        text: sequences of token ids, with the next one at each step as its target.
        vocab_size: token ids, V; padding among them, which never occurs.
    """

    def __init__(self, text: Ragged, vocab_size: int) -> None:
        self.vocab_size = vocab_size
        contexts, tokens, counts = _counted(_contexts(text, vocab_size), text.targets, vocab_size)
        trigrams = _Order(contexts, tokens, counts, vocab_size)
        contexts, tokens, counts = _counted(contexts % vocab_size, tokens, vocab_size)
        bigrams = _Order(contexts, tokens, counts, vocab_size)
        tokens, counts = np.unique(tokens, return_counts=True)
        self.orders = (_Order(np.zeros_like(tokens), tokens, counts, vocab_size), bigrams, trigrams)

    def nats(self, text: Ragged) -> Array:
        """The surprise at each target of a text: minus the logarithm of its probability (N,)."""
        pairs = _contexts(text, self.vocab_size)
        probability = np.full(len(text.targets), 1 / (self.vocab_size - 1))
        for order, contexts in zip(self.orders, (np.zeros_like(pairs), pairs % self.vocab_size, pairs), strict=True):
            probability = order.interpolated(contexts, text.targets, probability)
        return np.asarray(-np.log(probability))


def unigram_nats(train: Ragged, text: Ragged, vocab_size: int) -> Array:
    """The surprise at each target of a text (N,) by how often it occurs in training, each token once more than that."""
    counts = np.bincount(train.targets, minlength=vocab_size)[PAD + 1 :] + 1
    return np.asarray(np.log(counts.sum()) - np.log(counts[text.targets - 1]))


class _Order:
    """The counts of one length of context.

    Args:
        contexts: a number for the context of each different n-gram (G,).
        tokens: its last token (G,).
        counts: how often it occurs (G,).
        vocab_size: token ids.
    """

    def __init__(self, contexts: Array, tokens: Array, counts: Array, vocab_size: int) -> None:
        self.vocab_size = vocab_size
        self.contexts, which = np.unique(contexts, return_inverse=True)
        keys = which * vocab_size + tokens
        order = np.argsort(keys)
        self.keys, self.counts = keys[order], counts[order]
        self.discounts = _discounts(counts)
        self.totals = np.bincount(which, counts)
        self.rest = np.bincount(which, self.discounts[np.minimum(counts, 3)]) / self.totals

    def interpolated(self, contexts: Array, tokens: Array, shorter: Array) -> Array:
        """The probability of tokens in their contexts, from the one in shorter contexts (N,)."""
        which, seen = _find(self.contexts, contexts)
        gram, known = _find(self.keys, which * self.vocab_size + tokens)
        counts = np.where(seen & known, self.counts[gram], 0)
        own = (counts - self.discounts[np.minimum(counts, 3)]) / self.totals[which]
        return np.where(seen, own + self.rest[which] * shorter, shorter)


def _contexts(text: Ragged, vocab_size: int) -> Array:
    """The two tokens before each target, as one number (N,); padding where a sequence has only just begun."""
    before = np.concatenate(([PAD], text.values)).astype(np.int64)
    before[text.offsets] = PAD
    return np.asarray(before[:-1] * vocab_size + text.values)


def _counted(contexts: Array, tokens: Array, vocab_size: int) -> tuple[Array, Array, Array]:
    """Each different n-gram once: its context, its last token, and how often it occurs (G,)."""
    known, which = np.unique(contexts, return_inverse=True)
    keys, counts = np.unique(which * vocab_size + tokens, return_counts=True)
    return known[keys // vocab_size], keys % vocab_size, counts


def _discounts(counts: Array) -> Array:
    """What is taken off an n-gram's count of 0, 1, 2, and 3 or more; half of one where too few say how much.

    Never nothing: what has not been seen would be impossible.
    """
    n1, n2, n3, n4 = (int((counts == count).sum()) for count in (1, 2, 3, 4))
    if not (n1 and n2 and n3 and n4):
        return np.array([0.0, 0.5, 0.5, 0.5])
    share = n1 / (n1 + 2 * n2)
    found = np.array([1 - 2 * share * n2 / n1, 2 - 3 * share * n3 / n2, 3 - 4 * share * n4 / n3])
    return np.concatenate(([0.0], np.where(found > 0, found, 0.5)))


def _find(known: Array, wanted: Array) -> tuple[Array, Array]:
    """Where each wanted number stands among the known ones, which are sorted, and whether it does."""
    place = np.searchsorted(known, wanted).clip(max=len(known) - 1)
    return place, known[place] == wanted
