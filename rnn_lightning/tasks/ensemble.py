"""Several classifiers that answer as one: a weighted sum of their logits, each made as certain as it is right.

B sequences of a batch, S of a split, T steps, C classes, M members. With temperatures t and weights w,
z = sum over m of w_m z_m / t_m (a logarithmic opinion pool); temperatures after Guo et al. 2017,
https://arxiv.org/abs/1706.04599.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnn_lightning import registry
from rnn_lightning.batch import PAD, Batch, kept
from rnn_lightning.tasks.metrics import Outcomes
from rnn_lightning.tasks.one_answer import NotTrained, OneAnswer
from rnn_lightning.text import TextEncoder, remap

_ROUNDS = 200
"""Evaluations of the loss, at the most, in which its least value is looked for."""


class Ensemble(NotTrained):
    """Answers with the weighted sum of the logits of several trained classifiers.

    It is put together, not trained: `rnn-lightning ensemble RUN RUN`.

    Args:
        members: task and hyper-parameters of each classifier.
        temperatures: what the logits of each are divided by.
        weights: how much each counts.
        vocab_size: token ids; None for features.
        input_size: features of a step; None for tokens.
        num_classes: classes.

    Raises:
        ValueError: it has no members.
    """

    made_by = "an Ensemble is put together, not trained: rnn-lightning ensemble RUN RUN"
    members: nn.ModuleList
    ids: Tensor

    def __init__(
        self,
        members: list[dict[str, Any]],
        temperatures: list[float] | None = None,
        weights: list[float] | None = None,
        vocab_size: int | None = None,
        input_size: int | None = None,
        num_classes: int | None = None,
    ) -> None:
        super().__init__()
        if num_classes is None or not members:
            raise ValueError(self.made_by)
        temperatures = temperatures or [1.0] * len(members)
        weights = weights or [1 / len(members)] * len(members)
        self.save_hyperparameters(logger=False)
        self.build()

    @classmethod
    def of(cls, models: Sequence[OneAnswer], names: Sequence[str]) -> Self:
        """Puts trained classifiers together, all of them with the same weight.

        Args:
            models: the classifiers.
            names: what they are called in error texts.

        Raises:
            ValueError: they do not tell the same classes apart, or not from the same kind of inputs.
        """
        first = models[0]
        for model, name in zip(models, names, strict=True):
            if not isinstance(model, OneAnswer):
                raise ValueError(f"{name} holds a {type(model).__name__}: an ensemble is of classifiers of sequences")
            if not model.labels:
                raise ValueError(f"{name} predicts numbers: an ensemble is of classifiers")
            if model.labels != first.labels:
                raise ValueError(
                    f"{name} tells {', '.join(model.labels)} apart, and {names[0]} {', '.join(first.labels)}"
                )
            sizes = [one.hparams["input_size"] for one in (first, model)]
            units = [None if one.encoder is None else one.encoder.unit for one in (first, model)]
            if sizes[0] != sizes[1] or units[0] != units[1] or model.scaling != first.scaling:
                raise ValueError(f"{name} and {names[0]} read inputs of different kinds")
        encoder = _together([model.encoder for model in models if model.encoder is not None])
        ensemble = cls(
            [{"task": type(model).__name__, "hyper_parameters": dict(model.hparams)} for model in models],
            vocab_size=None if encoder is None else encoder.vocab_size,
            input_size=first.hparams["input_size"],
            num_classes=len(first.labels),
        )
        ensemble.labels, ensemble.encoder, ensemble.scaling = first.labels, encoder, first.scaling
        for member, model in zip(ensemble.members, models, strict=True):
            member.load_state_dict(model.state_dict())
        ensemble.is_trained = True
        ensemble._number_tokens()
        return ensemble.eval()

    def build(self) -> None:
        """Makes the members, with room for what each of them calls the tokens."""
        super().build()
        self.val_outcomes = Outcomes("logits", "targets")
        if self.hparams["vocab_size"] is not None:
            count = len(self.hparams["members"])
            self.register_buffer("ids", torch.zeros(count, self.hparams["vocab_size"], dtype=torch.int64))

    def _network(self, vocab_size: int | None, input_size: int | None, num_classes: int) -> dict[str, nn.Module]:
        made = [registry.resolve("tasks", one["task"])(**one["hyper_parameters"]) for one in self.hparams["members"]]
        return {"members": nn.ModuleList(made)}

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Logits: one number a sequence (B,) for two classes, else one a class (B, C)."""
        logits = self.member_logits(inputs, lengths)
        shares = [w / t for w, t in zip(self.hparams["weights"], self.hparams["temperatures"], strict=True)]
        return torch.stack([share * own for share, own in zip(shares, logits, strict=True)]).sum(0)

    def member_logits(self, inputs: Tensor, lengths: Tensor | None = None) -> list[Tensor]:
        """What each member's `forward` returns."""
        if self.encoder is None:
            return [member(inputs, lengths) for member in self.members]
        if lengths is None:
            lengths = torch.full_like(inputs[:, 0], inputs.size(1))
        found = []
        for member, ids in zip(self.members, self.ids, strict=True):
            encoder = member.encoder
            assert isinstance(encoder, TextEncoder), "members of an ensemble of texts read texts"
            found.append(member(*_cut(ids[inputs], lengths, encoder)))
        return found

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """As any classifier; and keeps what each member says, for the weights to be fitted."""
        super().validation_step(batch, batch_idx)
        assert batch.targets is not None, "a batch for scoring has targets"
        logits = torch.stack(self.member_logits(batch.inputs, batch.lengths), 1)
        self.val_outcomes.update(batch.rows, logits=logits, targets=batch.targets)

    def fit_weights(self) -> list[dict[str, float]]:
        """Takes temperatures and weights that give the validated sequences the least cross-entropy.

        Returns:
            val_loss and val_accuracy of each member at its temperature, and last of all together.
        """
        found = self.val_outcomes.compute()
        self.val_outcomes.reset()
        logits, targets = torch.from_numpy(found["logits"]), torch.from_numpy(found["targets"]).long()
        temperatures = [temperature_of(one, targets) for one in logits.unbind(1)]
        scaled = logits / torch.tensor(temperatures).view(-1, *[1] * (logits.dim() - 2))
        self.hparams["temperatures"] = temperatures
        self.hparams["weights"] = weights_of(scaled, targets)
        weights = torch.tensor(self.hparams["weights"], dtype=scaled.dtype)
        together = torch.einsum("sm...,m->s...", scaled, weights)
        return [_scores(one, targets) for one in (*scaled.unbind(1), together)]

    def _number_tokens(self) -> None:
        if self.encoder is None:
            return
        for member, row in zip(self.members, self.ids, strict=True):
            encoder = member.encoder
            assert isinstance(encoder, TextEncoder), "members of an ensemble of texts read texts"
            row.copy_(torch.from_numpy(remap(self.encoder.words, encoder.words)))


def temperature_of(logits: Tensor, targets: Tensor) -> float:
    """What logits (S,) or (S, C) are to be divided by to have the least cross-entropy with the classes (S,)."""
    scale = torch.zeros((), dtype=logits.dtype, requires_grad=True)
    _minimize([scale], lambda: cross_entropy(logits * scale.exp(), targets))
    return float(1 / scale.detach().exp())


def weights_of(logits: Tensor, targets: Tensor) -> list[float]:
    """How much each member counts for the least cross-entropy of their sum: at least 0, and 1 in all.

    Args:
        logits: those of each member (S, M) or (S, M, C).
        targets: the classes (S,).
    """
    scores = torch.zeros(logits.size(1), dtype=logits.dtype, requires_grad=True)

    def loss() -> Tensor:
        return cross_entropy(torch.einsum("sm...,m->s...", logits, scores.softmax(0)), targets)

    _minimize([scores], loss)
    weights: list[float] = scores.detach().softmax(0).tolist()
    return weights


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """The mean, in nats, of logits (S,) of two classes or (S, C)."""
    if logits.dim() == 1:
        return functional.binary_cross_entropy_with_logits(logits, targets.to(logits.dtype))
    return functional.cross_entropy(logits, targets)


def _scores(logits: Tensor, targets: Tensor) -> dict[str, float]:
    chosen = (logits > 0).long() if logits.dim() == 1 else logits.argmax(1)
    return {
        "val_loss": cross_entropy(logits, targets).item(),
        "val_accuracy": (chosen == targets).double().mean().item(),
    }


def _minimize(parameters: list[Tensor], loss: Any) -> None:
    optimizer = torch.optim.LBFGS(parameters, max_iter=_ROUNDS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        value: Tensor = loss()
        value.backward()  # type: ignore[no-untyped-call]  # torch does not declare it
        return value

    optimizer.step(closure)  # type: ignore[no-untyped-call]  # torch does not declare it


def _together(encoders: Sequence[TextEncoder]) -> TextEncoder | None:
    """An encoder that knows the words of all of these, and cuts a text off only where all of them do, at one place."""
    if not encoders:
        return None
    words = list(dict.fromkeys(word for encoder in encoders for word in encoder.words))
    first = encoders[0]
    alike = all((one.max_length, one.truncate) == (first.max_length, first.truncate) for one in encoders)
    return TextEncoder(words, first.max_length if alike else None, first.truncate, first.unit)


def _cut(ids: Tensor, lengths: Tensor, encoder: TextEncoder) -> tuple[Tensor, Tensor]:
    """Token ids (B, T) cut off as an encoder would have done, and what is left of the lengths (B,)."""
    if encoder.max_length is None:
        return ids, lengths
    head, _ = kept(encoder.max_length, encoder.truncate)
    left = lengths.clamp(max=encoder.max_length)
    steps = torch.arange(min(ids.size(1), encoder.max_length), device=ids.device)
    source = steps + torch.where(steps < head, 0, (lengths - left).unsqueeze(1))
    cut = ids.gather(1, source.clamp(max=ids.size(1) - 1))
    return cut.masked_fill(steps >= left.unsqueeze(1), PAD), left
