"""A member of a population: a GAN with the folder, loggers, callbacks and checkpoints of a run that trains alone.

One Lightning Trainer trains all members. A callback is written for one GAN: it gets a member as `pl_module`, and as its
`trainer` the shared one as far as all have it in common, and the member's own view of the rest.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor
from torch.optim import Optimizer

from ganduel import checkpoint as checkpoints
from ganduel.batch import Outputs
from ganduel.callback.base import log
from ganduel.gan import GAN
from ganduel.run.run import Run


class Member(GAN):
    """A GAN that a StackedGAN does the iterations of; its networks' tensors are views of the stack."""

    def log(self, name: str, value: Any, *args: Any, **kwargs: Any) -> None:
        """Log a value of a user callback for this member alone, in rows as often as Lightning's."""
        number, trainer = float(value), cast(Any, self.trainer)
        trainer.callback_metrics[name] = torch.tensor(number)
        if trainer.global_step % trainer.log_every_n_steps == 0:
            log(trainer, {name: number})


class MemberTrainer(Trainer):
    """What a member's callbacks get as their trainer: the shared one, but for what the member has for itself.

    Args:
        trainer: the shared one; whatever is not defined here is asked of it.
        name: the member's, which its folder has too.
        run: the member's folder, loggers, GAN and callbacks.
        shared_callbacks: those that members have in common: the progress bar, the one that looks for signals.
    """

    def __init__(self, trainer: Trainer, name: str, run: Run, shared_callbacks: Sequence[Callback]):
        self.shared, self.name, self.run = trainer, name, run
        self.callbacks = [*shared_callbacks, *run.callbacks]
        self.metrics: dict[str, Tensor] = {}  # the last value of each, for callbacks that monitor one
        self.ended_at: int | None = None  # its last iteration, while others go on
        self.wants_to_stop = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.shared, name)

    @property
    def global_step(self) -> int:
        """Its own: one that has ended stays behind, one that was ahead after a kill waits for the others."""
        return max(self.shared.global_step, self.run.iteration) if self.ended_at is None else self.ended_at

    @property
    def lightning_module(self) -> Any:
        return self.run.gan

    @property
    def callback_metrics(self) -> dict[str, Tensor]:
        return self.metrics

    @property
    def loggers(self) -> list[Any]:  # type: ignore[override]
        return self.run.loggers

    @property
    def default_root_dir(self) -> str:
        return str(self.run.folder)

    @property
    def optimizers(self) -> list[Optimizer]:  # type: ignore[override]
        return [self.run.gan.optim_d.optimizer, self.run.gan.optim_g.optimizer]

    @property
    def should_stop(self) -> bool:
        """Whether this member is to end: by a callback of its own, or with all others."""
        return self.wants_to_stop or self.shared.should_stop

    @should_stop.setter
    def should_stop(self, value: bool) -> None:
        self.wants_to_stop = value

    def save_checkpoint(self, filepath: Any, weights_only: bool | None = None, storage_options: Any = None) -> None:
        """Write what the member's own Trainer would; the module in training fills it in."""
        module: Any = self.shared.lightning_module
        module.saving = self
        try:
            self.shared.save_checkpoint(filepath, weights_only, storage_options)
        finally:
            module.saving = None

    def fill(self, checkpoint: dict[str, Any]) -> None:
        """Put the member's state into a checkpoint of the shared Trainer's, in the format of a run alone."""
        gan = self.run.gan
        optims = (gan.optim_d, gan.optim_g)
        checkpoint["state_dict"] = owned(gan.state_dict())
        checkpoint["optimizer_states"] = [owned(optim.optimizer.state_dict()) for optim in optims]
        checkpoint["lr_schedulers"] = [o.schedule.state_dict() for o in optims if o.schedule is not None]
        states = {callback.state_key: callback.state_dict() for callback in self.callbacks}
        checkpoint["callbacks"] = {key: state for key, state in states.items() if state}
        self.call("on_save_checkpoint", checkpoint)
        gan.on_save_checkpoint(checkpoint)

    def restore(self, path: Path) -> None:
        """Take the member's state from its checkpoint."""
        checkpoint, gan = checkpoints.read(path), self.run.gan
        for callback in self.callbacks:
            if state := checkpoint["callbacks"].get(callback.state_key):
                callback.load_state_dict(state)
        self.call("on_load_checkpoint", checkpoint)
        gan.on_load_checkpoint(checkpoint)
        gan.load_state_dict(checkpoint["state_dict"])
        optims = (gan.optim_d, gan.optim_g)
        for optim, state in zip(optims, checkpoint["optimizer_states"], strict=True):
            optim.optimizer.load_state_dict(state)
        schedules = [optim.schedule for optim in optims if optim.schedule is not None]
        for schedule, state in zip(schedules, checkpoint["lr_schedulers"], strict=True):
            schedule.load_state_dict(state)

    def call(self, hook: str, *args: Any) -> None:
        """Call a hook of the member's own callbacks, as Lightning would with this trainer and this GAN."""
        for callback in self.run.callbacks:
            getattr(callback, hook)(self, self.run.gan, *args)


def outputs_of(outputs: Outputs, i: int) -> Outputs:
    """Member number i's part of what an iteration of the stack returned."""
    return {key: value[i] for key, value in outputs.items()}


def release(gan: GAN) -> None:
    """Keep a member that has ended out of the stack's memory, and off the device."""
    for tensor in (*gan.parameters(), *gan.buffers()):
        tensor.data = owned(tensor.data).cpu()
    for optim in (gan.optim_d, gan.optim_g):
        optim.optimizer.state.clear()


def owned(tree: Any) -> Any:
    """Nested containers in which each tensor is whole: a file would have all of the stack for each view of it."""
    if isinstance(tree, dict):
        return {key: owned(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(map(owned, tree))
    is_view = isinstance(tree, Tensor) and tree.untyped_storage().nbytes() > tree.nbytes
    return tree.clone() if is_view else tree
