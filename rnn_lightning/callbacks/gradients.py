"""How far back the gradient reaches: what each step's state has to do with the loss at the end.

B sequences, T steps, H hidden features, G gates. In files beside the run's other records:

    gradients.csv        step, layer, direction, state, distance, norm    |dL/ds|, s the state after a step, h or c
    gradient_norms.csv   step, before_clipping, after_clipping            of all parameters, in the update of that step
    spectral_radii.csv   step, layer, direction, block, radius            of each gate's matrix U (H, H)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor, nn

from rnn_lightning.batch import Batch
from rnn_lightning.callbacks.journal import say
from rnn_lightning.callbacks.records import rows_before
from rnn_lightning.callbacks.tables import folder_of, write_table
from rnn_lightning.layers import Bidirectional, Projected, RecurrentLayer, RecurrentStack, State
from rnn_lightning.layers.base import loop
from rnn_lightning.layers.dropout import recurrent_matrices
from rnn_lightning.layers.padding import reverse

_TABLES = {
    "gradients.csv": ("step", "layer", "direction", "state", "distance", "norm"),
    "gradient_norms.csv": ("step", "before_clipping", "after_clipping"),
    "spectral_radii.csv": ("step", "layer", "direction", "block", "radius"),
}
"""The files that are written, with their columns."""

Place = tuple[int, str]
"""A layer's number in the stack, from 0, and its direction: forward or backward."""


class GradientProbe(Callback):
    """Records how large the gradient of the loss is at the state of each step, before, during and after a training.

    The same few training sequences go through the model each time, without dropout and step by step. Recorded is the
    total derivative with respect to the state after a step, through its output and all later steps: its norm for each
    sequence's own loss, then the mean over the sequences. The distance is how many steps that state lies before the
    loss: 0 is the last step. With one target a sequence it is counted from where the layer ends, whatever the pooling:
    only with `pooling: last` is that the one place where the loss looks. With a target a step, it is the loss of the
    last step that has one.

    The training itself is as it would be without. It takes as long as a few batches, each time.

    Args:
        every_n_steps: updates between two records; there is one before the first and one after the last, too.
        max_sequences: training sequences that are looked at, at most.

    Raises:
        ValueError: a number is not positive, or the task does not say its loss at the end of a sequence.
    """

    def __init__(self, every_n_steps: int = 50, max_sequences: int = 16) -> None:
        for name, value in (("every_n_steps", every_n_steps), ("max_sequences", max_sequences)):
            if value < 1:
                raise ValueError(f"{name} is {value}; it must be at least 1")
        self.every_n_steps = every_n_steps
        self.max_sequences = max_sequences
        self._batch: Batch | None = None
        self._folder: Path | None = None
        self._recorded: int | None = None
        self._norm_before: float | None = None
        self._rows: dict[str, list[tuple[Any, ...]]] = {}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begins anew, and says which layers are left out."""
        if not hasattr(pl_module, "end_losses"):
            name = type(pl_module).__name__
            raise ValueError(f"GradientProbe wants a task that says its losses at the end, end_losses; {name} does not")
        self._folder = folder_of(trainer)
        self._batch, self._recorded, self._norm_before = None, None, None
        self._rows = {name: [] for name in _TABLES}
        left_out = {type(layer).__name__ for layer in recurrent_layers(pl_module).values() if not layer.state_names}
        for name in sorted(left_out):
            say(f"GradientProbe leaves out {name}: it carries no state on, so that no gradient goes through one")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Takes up again what a run recorded that goes on."""
        if self._folder is not None:
            for name in _TABLES:
                _, earlier = rows_before(self._folder / name, trainer.global_step)
                self._rows[name] = [tuple(row.values()) for row in earlier]

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int) -> None:
        """Records, where it is time for it."""
        if not trainer.is_global_zero:
            return
        if self._batch is None:
            data: Any = getattr(trainer, "datamodule", None)
            example = data.example() if hasattr(data, "example") else batch
            self._batch = _first(example, self.max_sequences)
        step = trainer.global_step
        if self._recorded is None or (step % self.every_n_steps == 0 and step != self._recorded):
            self._record(trainer, pl_module)

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        """Measures the gradient before it is clipped."""
        if trainer.global_step == self._recorded:
            self._norm_before = _total_norm(pl_module)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Measures the gradient as the update took it: it stays until the next batch's is computed."""
        if self._norm_before is not None:
            self._rows["gradient_norms.csv"].append((self._recorded, self._norm_before, _total_norm(pl_module)))
            self._norm_before = None

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes what there is."""
        self._write()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Records the trained model and writes everything."""
        if self._batch is not None and self._recorded != trainer.global_step:
            self._record(trainer, pl_module)
        self._write()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Writes what there is: a training that failed is worth a look."""
        self._write()

    def _record(self, trainer: Trainer, model: LightningModule) -> None:
        self._recorded = step = trainer.global_step
        batch = trainer.precision_plugin.convert_input(trainer.strategy.batch_to_device(self._batch))
        with trainer.precision_plugin.forward_context():
            found = state_gradients(model, batch)
        for (place, name), norms in found.items():
            self._rows["gradients.csv"] += ((step, *place, name, distance, norm) for distance, norm in enumerate(norms))
        for place, radii in spectral_radii(model).items():
            self._rows["spectral_radii.csv"] += ((step, *place, block, radius) for block, radius in enumerate(radii))

    def _write(self) -> None:
        for name, rows in self._rows.items():
            if rows and self._folder is not None:
                write_table(self._folder / name, _TABLES[name], rows)


def recurrent_layers(model: nn.Module) -> dict[Place, RecurrentLayer]:
    """The layers of a model's stack, by their places."""
    layers = [layer for stack in model.modules() if isinstance(stack, RecurrentStack) for layer in stack.layers]
    found: dict[Place, RecurrentLayer] = {}
    for number, layer in enumerate(layers):
        if isinstance(layer, Bidirectional):
            found[number, "forward"] = layer.forward_layer
            found[number, "backward"] = layer.backward_layer
        elif isinstance(layer, RecurrentLayer):
            found[number, "forward"] = layer
    return {place: layer.layer if isinstance(layer, Projected) else layer for place, layer in found.items()}


def state_gradients(model: Any, batch: Batch) -> dict[tuple[Place, str], list[float]]:
    """How large the gradient of the loss is at the state of each step.

    Args:
        model: a task with `end_losses`.
        batch: sequences with targets.

    Returns:
        For each layer and each of its states, h or c, the mean norm at every distance from the loss, over the sequences
        that reach so far. Model and random numbers are left as they were.
    """
    with isolate_rng(), _in_eval_mode(model), torch.enable_grad(), _step_by_step(recurrent_layers(model)) as states:
        losses, ends = model.end_losses(batch)
        tensors = [tensor for steps in states.values() for tensor in steps]
        if not tensors:
            return {}
        gradients = iter(torch.autograd.grad(losses.sum(), tensors, allow_unused=True, materialize_grads=True))
    found: dict[tuple[Place, str], list[float]] = {}
    for (place, name), steps in states.items():
        # In 64 bits: in 32 the square of a small number is 0.
        flat = torch.stack([next(gradients).double().flatten(1) for _ in steps], 1)
        norms = torch.linalg.vector_norm(flat, dim=2)
        if place[1] == "backward" and batch.targets is not None and batch.targets.dim() > 1:
            # A target of one step has its place in the sequence, wherever a direction begins.
            norms = reverse(norms, batch.lengths)
        found[place, name] = _by_distance(norms, ends)
    return found


def spectral_radii(model: nn.Module) -> dict[Place, list[float]]:
    """The largest absolute eigenvalue of each gate's recurrent matrix, for each layer that has such matrices."""
    found: dict[Place, list[float]] = {}
    for place, layer in recurrent_layers(model).items():
        for weight in recurrent_matrices(layer).values():
            blocks = weight.detach().double().cpu().chunk(len(weight) // weight.size(1))
            found[place] = [torch.linalg.eigvals(block).abs().max().item() for block in blocks]
    return found


@contextmanager
def _in_eval_mode(model: nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def _step_by_step(layers: dict[Place, RecurrentLayer]) -> Iterator[dict[tuple[Place, str], list[Tensor]]]:
    """Lets layers go step by step, in place of a kernel that shows no states, and remembers the state after each step.

    What is remembered are the very tensors that the outputs and the next steps are computed from: their gradient is
    the whole one, through both.
    """
    states: dict[tuple[Place, str], list[Tensor]] = {}

    def unroll_of(place: Place, layer: RecurrentLayer) -> Any:
        def step(x_t: Tensor, state: State) -> tuple[Tensor, State]:
            output, new = layer.step(x_t, state)
            for name, tensor in zip(layer.state_names, new, strict=False):
                if tensor.requires_grad:
                    states.setdefault((place, name), []).append(tensor)
            return output, new

        def unroll(x: Tensor, lengths: Tensor | None, state: State) -> tuple[Tensor, State]:
            # Whatever comes of it has a gradient then, even where all weights are frozen.
            begin = tuple(s.detach().requires_grad_(s.is_floating_point()) for s in state)
            return loop(step, x, lengths, begin)

        return unroll

    replaced = {place: layer for place, layer in layers.items() if layer.state_names}
    for place, layer in replaced.items():
        layer.unroll = unroll_of(place, layer)  # type: ignore[method-assign]  # of this one layer, for a while
    try:
        yield states
    finally:
        for layer in replaced.values():
            del layer.unroll


def _by_distance(norms: Tensor, ends: Tensor) -> list[float]:
    """Means over the sequences at each distance from their ends.

    Args:
        norms: of each step (B, T).
        ends: the step that a sequence's loss stands behind, counted from 1; 0 where it has none (B,).
    """
    longest = int(ends.max())
    steps = ends.unsqueeze(1) - 1 - torch.arange(longest, device=ends.device)
    reached = steps >= 0
    there = norms.gather(1, steps.clamp(min=0)).where(reached, 0.0)
    means: list[float] = (there.sum(0) / reached.sum(0)).tolist()
    return means


def _first(batch: Batch, count: int) -> Batch:
    """The first sequences of a batch, without padding that only others needed."""
    lengths = batch.lengths[:count]
    steps = max(int(lengths.max()), 1)
    targets = torch.as_tensor(batch.targets)[:count]
    return Batch(batch.inputs[:count, :steps], lengths, targets[:, :steps] if targets.dim() > 1 else targets)


def _total_norm(model: nn.Module) -> float:
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    return float(nn.utils.get_total_norm(gradients))
