"""The bidirectional LSTM among the examples of Keras, by Keras on TensorFlow and by rnn-lightning.

    python -m venv build/keras
    build/keras/bin/pip install tensorflow-cpu
    python benchmarks/keras_example.py --keras build/keras/bin/python

Two layers of 64 in both directions on embeddings of 128, 20,000 words, the last 200 words of a review, batches of 32,
Adam (https://keras.io/examples/nlp/bidirectional_lstm_imdb/). Both train on the same reviews, padded in front as
Keras has it for itself; ours has them with their lengths.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

BATCH_SIZE, MAX_LENGTH, VOCAB_SIZE = 32, 200, 20_000


def keras(file: str, threads: int) -> None:
    """In the environment of Keras: trains on the reviews in a file, again and again, and prints the seconds."""
    import time

    import numpy as np
    import tensorflow
    from tensorflow import keras as k

    tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
    tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    content = np.load(file)
    layers = [k.layers.Bidirectional(k.layers.LSTM(64, return_sequences=sequences)) for sequences in (True, False)]
    inputs = k.Input(shape=(None,), dtype="int32")
    output = k.layers.Embedding(VOCAB_SIZE, 128)(inputs)
    for layer in (*layers, k.layers.Dense(1, activation="sigmoid")):
        output = layer(output)
    model = k.Model(inputs, output)
    model.compile("adam", "binary_crossentropy")
    for _ in sys.stdin:
        start = time.perf_counter()
        model.fit(content["ids"], content["targets"], batch_size=BATCH_SIZE, shuffle=False, verbose=0)
        print(time.perf_counter() - start, flush=True)


def main() -> None:
    """Measures, and prints a table."""
    import numpy as np
    from reviews import reviews, typical
    from side_by_side import Figure, filled, finish, in_turn, medians, parser, ratio

    made = parser(__doc__)
    made.add_argument("--keras", required=True, help="the Python of an environment with TensorFlow")
    options = filled(made.parse_args(), repeats=3)
    data, where_from = reviews(
        options.quick, max_length=MAX_LENGTH, truncate="tail", batch_size=BATCH_SIZE, vocab_size=VOCAB_SIZE
    )
    batches, mixed = typical(data, 4 if options.quick else 40)
    ids = np.zeros((len(mixed) * BATCH_SIZE, MAX_LENGTH), np.int32)
    for row, (sequence, length) in enumerate((s, n) for b in mixed for s, n in zip(b.inputs, b.lengths, strict=True)):
        ids[row, MAX_LENGTH - int(length) :] = sequence[: int(length)]
    targets = np.concatenate([batch.targets for batch in mixed]).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "reviews.npz")
        np.savez(file, ids=ids.clip(max=VOCAB_SIZE - 1), targets=targets)
        words = [options.keras, __file__, "--worker", file, str(options.threads)]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
            ways = {"Keras": partial(_keras, other), "rnn-lightning": _ours(data, batches, options.threads)}
            times = in_turn(ways, options.repeats)
            other.stdin.close()
    figures = [
        Figure("the Keras example: rnn-lightning trains faster by", ratio(times, "Keras", "rnn-lightning")),
        *(Figure(f"a step, {name}", 1000 * took / len(batches), unit="ms") for name, took in medians(times).items()),
    ]
    finish(options, figures, reviews=where_from)


def _keras(other: subprocess.Popen) -> float:
    other.stdin.write("\n")
    other.stdin.flush()
    return float(other.stdout.readline())


def _ours(data, batches, threads):
    from side_by_side import Apart

    return partial(Apart(Example, batches, data.facts.encoder.vocab_size, threads, GOMP_SPINCOUNT="1000"), "run")


class Example:
    """The same network here, in a process as the command sets it up."""

    def __init__(self, batches, vocab_size: int, threads: int) -> None:
        import torch

        from rnn_lightning import SequenceClassifier
        from rnn_lightning.cli.process import keep_memory

        keep_memory()
        torch.set_flush_denormal(True)
        torch.set_num_threads(threads)
        self.batches = batches
        self.model = SequenceClassifier(
            hidden_size=64,
            num_layers=2,
            bidirectional=True,
            embedding_size=128,
            pooling="last",
            vocab_size=vocab_size,
            num_classes=2,
        )
        self.optimizer = torch.optim.Adam(self.model.parameters(), fused=True)

    def run(self) -> float:
        """Seconds of a training step on each batch."""
        from side_by_side import seconds

        return seconds(lambda: [self._step(batch) for batch in self.batches])

    def _step(self, batch) -> None:
        loss = self.model.losses(self.model(batch.inputs, batch.lengths), batch.targets).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        keras(sys.argv[2], int(sys.argv[3]))
    else:
        main()
