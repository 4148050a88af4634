"""One answer for a whole sequence: a class or a number.

B sequences, T steps, D input features (E where tokens are embedded), F features after the recurrent layers, P after
pooling, C outputs: 1 for two classes and for regression, else one a class.
"""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor, nn
from torch.nn import functional

from rnn_lightning.batch import Batch, Facts
from rnn_lightning.layers import NgramMix, Pooling, PoolingName, RecurrentStack, TokenEmbedding, make_head
from rnn_lightning.layers.dropout import check_share
from rnn_lightning.stacking import weigh
from rnn_lightning.tasks.adversarial import adversarial_change, virtual_adversarial_losses
from rnn_lightning.tasks.metrics import Outcomes
from rnn_lightning.tasks.networks import InitName, make_embedding, make_recurrent
from rnn_lightning.tasks.one_answer import OneAnswer, targets_of
from rnn_lightning.tasks.wide import check_train, in_words_of, kept


class SequenceClassifier(OneAnswer):
    """Classifies sequences, or predicts a number for each: recurrent layers, a pooling over time, a linear head.

    Whether the inputs are tokens or real-valued features, how many classes there are, and whether it is a regression,
    is told by the data. Two classes have one logit.

    Args:
        cell: short name of the recurrent layer: rnn, lstm, gru, rnn_ln, lstm_ln, gru_ln, mingru, minlstm, qrnn, sru,
            slstm, transformer, or an installed package's own.
        hidden_size: features of each recurrent layer in each direction.
        num_layers: recurrent layers on top of each other.
        bidirectional: run each layer in both directions.
        residual: add each layer's input to its output.
        prenorm: as residual, and each layer sees its input after layer normalisation.
        layer_dropout: dropout between the recurrent layers.
        locked_dropout: that dropout is of the same features at all steps of a sequence.
        weight_dropout: dropout of the weights between one step and the next, others for each batch.
        projection_size: features that each layer's output is brought to by a linear map; null leaves it as it is.
        cell_options: further options of the layer, for example {nonlinearity: relu} of rnn.
        init: what the recurrent layers begin with: default, as each layer has it (orthogonal recurrence, Xavier inputs,
            open forget gates), or torch, all of it uniform in +-1 / sqrt(hidden_size), as in torch's own layers;
            a forget_bias among the cell_options holds even then.
        embedding_size: features of a token; no part in real-valued sequences.
        embedding_dropout: dropout of whole token features, the same at all steps of a sequence.
        word_dropout: share of the tokens replaced by the unknown token in training.
        vectors: file of word vectors to begin with, in GloVe's text format, or that compressed by gzip; embedding_size
            is then what the file has.
        freeze_vectors: leave the vectors as they are that vectors or init_from gave.
        init_from: a run (its folder, or its name under runs/) or a checkpoint whose embedding and recurrent layers the
            training begins with, word by word where the vocabularies differ. A bidirectional model may have two: the
            second one, which was trained on the previous token, gives the backward direction.
        init_lr: learning rate of what init_from gave, as a share of that of all else.
        gradual_unfreezing: train in the first epoch only what is new, and in each further one a layer more, from the
            topmost one down to the embedding.
        pooling: from all steps to one vector: last, mean, max, mean_max, mean_max_last, or attention.
        dropout: dropout before the head's linear map.
        batch_norm: batch normalisation before the head's linear map.
        label_smoothing: share of the certainty in training that all classes get alike.
        adversarial: learn from each sequence a second time, after the change of its embedding (or features) that makes
            the loss grow most, as long as so many of their deviations; takes twice the time. 5 is a good value.
        virtual_adversarial: keep the answers as they are under the change that moves them most, of such a length,
            whatever the label; takes three times the time.
        ngrams: run of n-grams, as rnn-lightning baseline --keep makes one of the same data, whose logits are added to
            those of the recurrent layers.
        ngram_sizes: tokens in the longest of them, and how many there are; filled in from that run.
        vocab_size: token ids; filled in from the data.
        input_size: features of a step; filled in from the data.
        num_classes: classes, 0 for regression; filled in from the data.

    Raises:
        ValueError: a value is out of range, or a name is unknown.
    """

    embedding: TokenEmbedding
    recurrent: RecurrentStack
    pooling: Pooling
    head: nn.Sequential
    mix: NgramMix

    def __init__(
        self,
        cell: str = "lstm",
        hidden_size: int = 128,
        num_layers: int = 1,
        bidirectional: bool = False,
        residual: bool = False,
        prenorm: bool = False,
        layer_dropout: float = 0.0,
        locked_dropout: bool = False,
        weight_dropout: float = 0.0,
        projection_size: int | None = None,
        cell_options: dict[str, Any] | None = None,
        init: InitName = "default",
        embedding_size: int = 100,
        embedding_dropout: float = 0.0,
        word_dropout: float = 0.0,
        vectors: str | None = None,
        freeze_vectors: bool = False,
        init_from: str | list[str] | None = None,
        init_lr: float = 1.0,
        gradual_unfreezing: bool = False,
        pooling: PoolingName = "last",
        dropout: float = 0.0,
        batch_norm: bool = False,
        label_smoothing: float = 0.0,
        adversarial: float = 0.0,
        virtual_adversarial: float = 0.0,
        ngrams: str | None = None,
        ngram_sizes: list[int] | None = None,
        vocab_size: int | None = None,
        input_size: int | None = None,
        num_classes: int | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False)
        if num_classes is not None:
            if (vocab_size is None) == (input_size is None) or num_classes < 0 or num_classes == 1:
                raise ValueError("vocab_size, input_size and num_classes are filled in from the data: leave them out")
            self.build()
            return
        if ngram_sizes is not None:
            raise ValueError("ngram_sizes are filled in from the run of n-grams: leave them out")
        if ngrams is not None:
            kept(ngrams)
        self._check_beginning()
        check_share("label_smoothing", label_smoothing)
        for name, size in (("adversarial", adversarial), ("virtual_adversarial", virtual_adversarial)):
            if size < 0:
                raise ValueError(f"{name} is {size}; it must be at least 0")
        # Built once for nothing, without memory, so that a wrong value is found before the data is prepared.
        with torch.device("meta"):
            self._network(vocab_size=2, input_size=None, num_classes=2)

    def sizes(self, facts: Facts) -> dict[str, int | None]:
        """Vocabulary or features, and the number of classes.

        Raises:
            ValueError: the data has a target for each step, or numbers where an option is for classes.
        """
        sizes = super().sizes(facts)
        if not facts.labels and (self.hparams["label_smoothing"] or self.hparams["virtual_adversarial"]):
            raise ValueError(
                "label_smoothing and virtual_adversarial are for classes: this data has numbers to predict"
            )
        return sizes

    def build(self) -> None:
        """Makes the network and the metrics; where there are n-grams, of their run."""
        path = self.hparams["ngrams"]
        if path is None or self.hparams["ngram_sizes"] is not None:
            super().build()
        else:
            fitted = kept(path)
            found = in_words_of(self.encoder, self.labels, fitted, path)
            self.hparams["ngram_sizes"] = [found.longest, len(found.keys)]
            super().build()
            self.mix.ngrams.load_state_dict(found.state_dict())
            self.mix.train_checksum.copy_(fitted.train_checksum)
        self.val_parts = Outcomes("own", "ngrams", "targets")

    def _network(self, vocab_size: int | None, input_size: int | None, num_classes: int) -> dict[str, nn.Module]:
        h = self.hparams
        modules: dict[str, nn.Module] = {}
        if vocab_size is not None:
            input_size = h["embedding_size"]
            modules["embedding"] = make_embedding(h, vocab_size)
        assert input_size is not None
        recurrent = make_recurrent(h, input_size)
        pooling = Pooling(h["pooling"], recurrent.output_size, h["bidirectional"])
        outputs = num_classes if num_classes > 2 else 1
        head = make_head(pooling.output_size, outputs, h["dropout"], h["batch_norm"])
        modules |= {"recurrent": recurrent, "pooling": pooling, "head": head}
        if vocab_size is not None and h["ngram_sizes"] is not None:
            longest, count = h["ngram_sizes"]
            modules["mix"] = NgramMix(vocab_size, longest, count, outputs)
        return modules

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Logits or numbers.

        Args:
            inputs: token ids (B, T) or features (B, T, D).
            lengths: valid steps of each sequence (B,) int64; None: all are.

        Returns:
            One number a sequence (B,) for two classes and for regression, else one a class (B, C). Numbers are as the
            targets of the training data are, whatever their scaling.
        """
        logits = self._of_vectors(self._vectors(inputs), lengths)
        if self.hparams["ngrams"] is None:
            return logits
        ngram_logits = self.mix.ngrams(inputs, lengths)
        mixed: Tensor = self.mix(logits.view_as(ngram_logits), ngram_logits)
        return mixed.view_as(logits)

    def _vectors(self, inputs: Tensor) -> Tensor:
        """What the recurrent layers get (B, T, D)."""
        vectors: Tensor = inputs if self.hparams["vocab_size"] is None else self.embedding(inputs)
        return vectors

    def _of_vectors(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """What the recurrent layers say of them, without any n-grams."""
        output, _ = self.recurrent(x, lengths)
        return self.answers(self.pooling(output, lengths))

    def answers(self, pooled: Tensor) -> Tensor:
        """What `forward` returns, from one vector a sequence (B, P)."""
        logits: Tensor = self.head(pooled)
        if self.target_scaling is not None:
            # 16 bits, which are enough for a network, would leave three digits of the numbers.
            logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
            logits = logits * self.target_scaling.deviation[0] + self.target_scaling.mean[0]
        return logits.squeeze(1) if logits.size(1) == 1 else logits

    def end_losses(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Loss of each sequence (B,), and its last step, counted from 1 (B,), whatever the pooling."""
        return self.losses(self(batch.inputs, batch.lengths), targets_of(batch)), batch.lengths

    def on_fit_start(self) -> None:
        """As any task; and holds the n-grams to be of this data."""
        super().on_fit_start()
        if self.hparams["ngrams"] is not None:
            data = self.trainer.datamodule  # type: ignore[attr-defined]  # the Trainer sets it, and does not declare it
            check_train(self.mix, self.hparams["ngrams"], data)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Loss of a training batch, without any n-grams; its mean over the epoch is logged as train_loss."""
        h, targets, lengths = self.hparams, targets_of(batch), batch.lengths
        if h["label_smoothing"]:
            targets = _smoothed(targets, h["num_classes"], h["label_smoothing"])
        if h["ngrams"] is None and not h["adversarial"] and not h["virtual_adversarial"]:
            loss = self.losses(self(batch.inputs, lengths), targets).mean()
            return self.weighed(loss, len(lengths), batch)
        x = self._vectors(batch.inputs)
        if h["adversarial"] and not x.requires_grad:
            x.requires_grad_()
        logits = self._of_vectors(x, lengths)
        losses = plain = self.losses(logits, targets)
        if h["adversarial"]:
            changed = x + adversarial_change(losses, x, lengths, h["adversarial"])
            losses = losses + self.losses(self._of_vectors(changed, lengths), targets)
        if h["virtual_adversarial"]:
            losses = losses + virtual_adversarial_losses(
                lambda x: self.log_probabilities(self._of_vectors(x, lengths)),
                *(x, lengths, self.log_probabilities(logits), h["virtual_adversarial"]),
            )
        return self.weighed(losses.mean(), len(lengths), batch, plain.mean())

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Adds a batch to val_loss and to the epoch's metrics."""
        if self.hparams["ngrams"] is None or self.trainer.state.fn != TrainerFn.FITTING:
            super().validation_step(batch, batch_idx)
            return
        ngram_logits = self.mix.ngrams(batch.inputs, batch.lengths)
        own = self._of_vectors(self._vectors(batch.inputs), batch.lengths).view_as(ngram_logits)
        self.val_parts.update(batch.rows, own=own, ngrams=ngram_logits, targets=targets_of(batch))

    def on_validation_epoch_end(self) -> None:
        """Logs the metrics of all validation sequences together, after n-grams are weighed by them."""
        if self.hparams["ngrams"] is not None and self.trainer.state.fn == TrainerFn.FITTING:
            self._weigh_ngrams()
        super().on_validation_epoch_end()

    def _weigh_ngrams(self) -> None:
        """Fits the scales on what came out of validation, and measures it with them."""
        parts = {name: torch.from_numpy(values) for name, values in self.val_parts.compute().items()}
        self.val_parts.reset()
        both, targets = torch.stack((parts["own"], parts["ngrams"])), parts["targets"].long()
        if both.isfinite().all():
            scales, offsets, _ = weigh(both, targets)
            self.mix.scales.copy_(scales)
            self.mix.offset.copy_(offsets)
        logits = self.mix(*both.to(self.mix.scales)).squeeze(1)
        self._measure(self.val_loss, self.val_metrics, logits, targets.to(logits.device))


def _smoothed(targets: Tensor, num_classes: int, share: float) -> Tensor:
    """A probability for each class (B, C): a share of the certainty goes to all of them alike."""
    certain = targets if targets.dim() > 1 else functional.one_hot(targets, num_classes).float()
    return certain * (1 - share) + share / num_classes
