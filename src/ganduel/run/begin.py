"""When a run goes on record: once all that could refuse it is built and its checkpoint is loaded, and not before."""

from collections.abc import Callable

from lightning.pytorch import Callback, LightningModule, Trainer

from ganduel.callback.base import others


class Begin(Callback):
    """Begins the record before any other callback of the run sees the training start.

    Args:
        begin: what begins it.
    """

    def __init__(self, begin: Callable[[], None]):
        self.begin, self.begun = begin, False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.begin()
        self.begun = True

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End a run that was killed after its last checkpoint: without iterations Lightning calls no training hook."""
        if self.begun:
            return
        pl_module.to(trainer.strategy.root_device)
        for hook in ("on_train_start", "on_train_end"):
            for callback in others(trainer, Callback):
                getattr(callback, hook)(trainer, pl_module)
