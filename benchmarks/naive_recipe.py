"""What goes wrong with recurrent networks: the recipe of many first tutorials, on the IMDb reviews.

A vanilla RNN reads reviews that are padded at their ends, and the answer is taken from the last padded step, a hundred
steps of zeros behind the last word of most of them. Nothing is wrong with the layer: `rnn-lightning fit --config
rnn.yaml --config imdb.yaml --model.hidden_size 256` trains the same one, pooled over the steps that are there.

    python benchmarks/naive_recipe.py

B reviews, T steps, the longest review of the batch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader

from rnn_lightning import IMDb, Sequences

EPOCHS = 2


class NaiveClassifier(nn.Module):
    """Embedding, vanilla RNN, and a linear layer on whatever stands in the last column."""

    def __init__(self, vocab_size: int, embedding_size: int = 100, hidden_size: int = 256) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embedding_size, padding_idx=0)
        self.rnn = nn.RNN(embedding_size, hidden_size, batch_first=True)
        self.linear = nn.Linear(hidden_size, 1)

    def forward(self, ids: Tensor) -> Tensor:
        """Token ids (B, T) to logits (B,)."""
        output, _ = self.rnn(self.embedding(ids))
        return self.linear(output[:, -1]).squeeze(1)


def main() -> None:
    """Trains, and prints the loss and the accuracies after each epoch."""
    torch.manual_seed(1234)
    data = IMDb(max_length=256, truncate="head")
    data.prepare_data()
    data.setup("fit")
    model = NaiveClassifier(data.facts.encoder.vocab_size)
    optimizer = torch.optim.Adam(model.parameters())
    for epoch in range(1, EPOCHS + 1):
        losses = []
        for batch in _batches(data.train, shuffle=True):
            loss = functional.binary_cross_entropy_with_logits(model(batch.inputs), batch.targets.float())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        train_loss = sum(losses) / len(losses)
        print(f"epoch {epoch}/{EPOCHS}  train_loss {train_loss:.4f}  val_accuracy {_accuracy(model, data.val):.4f}")
    print(f"test_accuracy {_accuracy(model, data.test):.4f}")


def _batches(reviews: Sequences, shuffle: bool) -> DataLoader:
    return DataLoader(reviews, batch_size=64, shuffle=shuffle, collate_fn=lambda batch: batch)


@torch.no_grad()
def _accuracy(model: nn.Module, reviews: Sequences) -> float:
    right = sum(int(((model(b.inputs) > 0) == b.targets).sum()) for b in _batches(reviews, shuffle=False))
    return right / len(reviews)


if __name__ == "__main__":
    main()
