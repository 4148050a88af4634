"""Which words and neighbouring words stand in a text, and what each of them adds to the logits.

B sequences, T steps, V token ids, G known n-grams, W windows of a batch's sequences (T for each length of n-gram), C
outputs.

An n-gram has a number, its key, by the ids of its tokens as the digits of a number in base V:

    key(a) = a    key(a b) = a V + b    key(a b c) = (a V + b) V + c

All of them differ, since no known n-gram has a token 0 or 1. With f the set of the n-grams in a text (Wang and Manning
2012, https://aclanthology.org/P12-2018: binary features do best),

    logits = offset + sum over g in f of weight[g]
"""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnn_lightning.batch import PAD, UNKNOWN
from rnn_lightning.layers.padding import valid_steps

LONGEST = 3
"""Tokens in an n-gram, at the most: with more, a key could be too large for 64 bits."""


class NgramSum(nn.Module):
    """A linear map of the set of n-grams that stand in a text. Training leaves it as it is.

    Each n-gram is looked up exactly, by a search that halves the sorted keys: no two of them share a weight, and one
    that is not known has none. Every operation is one that ONNX has too.

    Args:
        vocab_size: token ids, V.
        longest: tokens in the longest n-gram.
        count: known n-grams, G.
        output_size: outputs, C.

    Attributes:
        keys: of the known n-grams, sorted (G,) int64.
        weight: what each of them adds (G, C).
        offset: the outputs of a text without any of them (C,).

    Raises:
        ValueError: a size is out of range.
    """

    keys: Tensor

    def __init__(self, vocab_size: int, longest: int, count: int, output_size: int) -> None:
        super().__init__()
        if not 1 <= longest <= LONGEST:
            raise ValueError(f"n-grams have 1 to {LONGEST} tokens, not {longest}")
        if count < 1 or vocab_size**longest > torch.iinfo(torch.int64).max:
            raise ValueError(f"{count} n-grams of {longest} out of {vocab_size} tokens cannot be numbered")
        self.vocab_size = vocab_size
        self.longest = longest
        self.register_buffer("keys", torch.zeros(count, dtype=torch.int64))
        self.weight = nn.Parameter(torch.zeros(count, output_size), requires_grad=False)
        self.offset = nn.Parameter(torch.zeros(output_size), requires_grad=False)

    def forward(self, ids: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Token ids (B, T) to outputs (B, C)."""
        if lengths is not None:
            ids = ids.masked_fill(~valid_steps(lengths, ids.size(1)), PAD)
        found = self._places(self._windows(ids))
        # An n-gram counts once: of equal places, which stand side by side when sorted, the first alone.
        found = found.sort(1).values
        again = torch.cat((torch.zeros_like(found[:, :1], dtype=torch.bool), found[:, 1:] == found[:, :-1]), 1)
        counts = (~again & (found < len(self.keys))).unsqueeze(2)
        added = self.weight[found.clamp(max=len(self.keys) - 1)]
        return torch.where(counts, added, 0.0).sum(1) + self.offset

    def in_vocabulary(self, new_ids: Tensor, vocab_size: int) -> Self:
        """The same for other token ids, without the n-grams of tokens that are unknown there.

        Args:
            new_ids: for each token id the new one (V,); UNKNOWN where there is none.
            vocab_size: new token ids.

        Raises:
            ValueError: no n-gram is left.
        """
        keys, rest, digit = torch.zeros_like(self.keys), self.keys, 1
        whole = torch.ones_like(keys, dtype=torch.bool)
        while rest.any():
            ids = new_ids[rest % self.vocab_size]
            whole &= (rest == 0) | (ids > UNKNOWN)
            keys += torch.where(rest > 0, ids, 0) * digit
            rest, digit = rest // self.vocab_size, digit * vocab_size
        if not whole.any():
            raise ValueError("none of them is of known tokens alone")
        order = keys[whole].argsort()
        found = type(self)(vocab_size, self.longest, len(order), len(self.offset))
        found.keys.copy_(keys[whole][order])
        found.weight.data.copy_(self.weight[whole][order])
        found.offset.data.copy_(self.offset)
        return found

    def _windows(self, ids: Tensor) -> Tensor:
        """The keys of all n-grams, known or not (B, W). Those that reach into the padding have a key that none has."""
        keys, found = ids, [ids]
        for _ in range(1, self.longest):
            keys = keys * self.vocab_size + functional.pad(ids, (0, len(found)), value=PAD)[:, len(found) :]
            found.append(keys)
        return torch.cat(found, 1)

    def _places(self, wanted: Tensor) -> Tensor:
        """Where these keys stand among the known ones (B, W); G where they do not."""
        last = len(self.keys) - 1
        places = torch.zeros_like(wanted)
        for bit in reversed(range(last.bit_length())):
            further = (places + (1 << bit)).clamp(max=last)
            places = torch.where(self.keys[further] <= wanted, further, places)
        return torch.where(self.keys[places] == wanted, places, last + 1)


class NgramMix(nn.Module):
    """The logits of a network and those of the n-grams in the same texts, each times a scale.

    Args:
        vocab_size: token ids.
        longest: tokens in the longest n-gram.
        count: known n-grams.
        output_size: outputs, C.

    Attributes:
        scales: of the network's logits and of the n-grams' (2,).
        offset: added to both (C,).
        train_checksum: what the n-grams were fitted on.
    """

    scales: Tensor
    offset: Tensor
    train_checksum: Tensor

    def __init__(self, vocab_size: int, longest: int, count: int, output_size: int) -> None:
        super().__init__()
        self.ngrams = NgramSum(vocab_size, longest, count, output_size)
        self.register_buffer("scales", torch.full((2,), 0.5))
        self.register_buffer("offset", torch.zeros(output_size))
        self.register_buffer("train_checksum", torch.zeros((), dtype=torch.int64))

    def forward(self, logits: Tensor, ngram_logits: Tensor) -> Tensor:
        """The network's logits and what `ngrams` gives, both (B, C), to logits of the two."""
        return self.scales[0] * logits + self.scales[1] * ngram_logits + self.offset
