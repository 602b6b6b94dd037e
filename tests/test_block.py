"""Blocks: as many iterations as callbacks allow in one of Lightning's batches, each counted as one step."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from lightning.pytorch import Callback
from torch.nn.parallel import DistributedDataParallel

from ganduel import block as module
from ganduel.block import NEVER, Endless, Pass, Scheduled, block, block_end, has_user_hooks, loader
from ganduel.errors import UserError


class Every(Callback, Scheduled):
    """A callback of ganduel's that is due every n iterations."""

    __module__ = "ganduel.callback.test"

    def __init__(self, every: int):
        self.every = every

    def next_due(self, n: int) -> int:
        return NEVER if self.every == 0 else n - n % self.every + self.every

    def on_train_batch_end(self, *_) -> None:
        """Due or not, it is called."""


class Quiet(Callback):
    """A user callback without a hook in each batch."""


class Watching(Callback):
    """One that has such a hook."""

    def __init__(self):
        self.seen: list[int] = []

    def on_train_batch_end(self, trainer, *_) -> None:
        self.seen.append(trainer.global_step)


def trainer(step: int, *callbacks: Callback, max_steps: int = 100, world_size: int = 1) -> SimpleNamespace:
    return SimpleNamespace(
        global_step=step,
        callbacks=list(callbacks),
        max_steps=max_steps,
        world_size=world_size,
        should_stop=False,
        strategy=SimpleNamespace(model=None),
        train_dataloader=Endless(),
    )


pytestmark = pytest.mark.usefixtures("untyped")


@pytest.mark.parametrize(
    ("step", "callbacks", "end"),
    [
        (0, (Every(10), Every(25)), 10),
        (20, (Every(10), Every(25)), 25),
        (90, (Every(40),), 100),
        (0, (Every(0),), 100),
        (0, (), 100),
        (7, (Every(10), Quiet()), 10),
        (7, (Every(10), Watching()), 8),
    ],
)
def test_a_block_ends_where_a_callback_is_due(step: int, callbacks: tuple, end: int):
    assert block_end(trainer(step, *callbacks)) == end
    assert list(block(trainer(step, *callbacks))) == list(range(step, end))


def test_a_run_without_an_end_has_blocks_all_the_same():
    assert block_end(trainer(5, Every(10), max_steps=-1)) == 10


def test_a_block_ends_after_a_while_and_when_the_run_is_to_stop(monkeypatch):
    clock = iter(range(100))
    monkeypatch.setattr(module, "SECONDS", 0.2)
    monkeypatch.setattr(module, "monotonic", lambda: 0.07 * next(clock))
    assert list(block(trainer(0, Every(50)))) == [0, 1, 2]
    stopping, seen = trainer(0, Every(50)), []
    for t in block(stopping):
        seen.append(t)
        stopping.should_stop = t == 1
    assert seen == [0, 1]


def test_ranks_have_blocks_of_one_length(monkeypatch):
    """A clock would give each another."""
    clock = iter(range(1000))
    monkeypatch.setattr(module, "SECONDS", 0.2)
    monkeypatch.setattr(module, "monotonic", lambda: float(next(clock)))
    assert list(block(trainer(0, Every(50), world_size=2))) == list(range(50))


def test_where_lightning_counts_epochs_an_epoch_is_a_pass_over_the_data():
    counting, endless = SimpleNamespace(max_epochs=3), SimpleNamespace(max_epochs=-1)
    assert list(loader(counting, 4)) == [0, 1, 2, 3]
    assert len(loader(counting, 4)) == 4
    assert type(loader(endless, 4)) is Endless
    with pytest.raises(UserError, match=r"these data never end, .* max_steps"):
        loader(counting, None)


def test_iterations_of_an_epoch_come_one_by_one():
    stepping = trainer(7, Every(10))
    stepping.train_dataloader = Pass(50)
    assert list(block(stepping)) == [7]


def test_a_loader_of_the_users_is_refused():
    given = trainer(0)
    given.train_dataloader = [1, 2]
    with pytest.raises(UserError, match=r"^fit\(gan, list\): .* Call fit\(gan\), .* Batches\(LoaderData\(loader\)"):
        block_end(given)


def test_the_ddp_wrapper_is_refused_where_it_waits_for_both_networks():
    """Trainer(strategy="ddp") ended in a RuntimeError about parameters that were not used in producing the loss."""
    given, wrapper = trainer(0), DistributedDataParallel.__new__(DistributedDataParallel)  # needs a process group
    given.strategy.model = wrapper
    wrapper.find_unused_parameters = True
    assert block_end(given) == 100
    wrapper.find_unused_parameters = False
    with pytest.raises(UserError, match=r"^strategy=ddp waits .* strategy=ReplicatedStrategy\(\), from ganduel\."):
        block_end(given)


def test_only_hooks_of_user_callbacks_count():
    assert not has_user_hooks([Every(1), Quiet()], module.EACH_BATCH)
    assert has_user_hooks([Every(1), Watching()], module.EACH_BATCH)


def test_each_iteration_is_one_step_and_a_user_callback_sees_all(fit: Callable):
    watching = Watching()
    assert fit("trainer.max_steps=6", callbacks=[watching]).global_step == 6
    assert watching.seen == [1, 2, 3, 4, 5, 6]
    assert fit("trainer.max_steps=6", "k=3", callbacks=[Every(4)]).global_step == 6
