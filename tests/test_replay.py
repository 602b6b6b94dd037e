"""Kernels that are noted in one iteration and called in the others are the iteration, to the bit."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning.pytorch import Callback
from small import SMALL, mostly_slow
from states import same
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from ganduel.checkpoint import LAST, read
from ganduel.engine.graph import WARM_UP
from ganduel.engine.recorder import CannotBeRecorded
from ganduel.model.mlp import MLPDiscriminator
from ganduel.places import places
from ganduel.replay import Notes, Replay
from ganduel.tracking.files import METRICS, rows

CLOCK = {"seconds", "speed/images_per_second"}
SETTINGS = {
    "plain": (),
    "k=2, clipped, linear schedule": ("k=2", "clip.discriminator=0.1", "clip.generator=0.1", "schedule=linear"),
    "penalised": ("penalty=r1",),
    "saturating, sgd, momentum": ("loss=saturating", "optimizer=sgd"),
    "batch norm": ("model.generator.norm=batch", "model.discriminator.norm=batch"),
    "spectral norm": ("model.discriminator.norm=spectral",),
    "layer norm": ("model.generator.norm=layer", "model.discriminator.norm=layer"),
    "bf16": ("trainer.precision=bf16-mixed", "penalty=r1"),
    "float64": ("trainer.precision=64-true",),
    "no average, points": ("ema=null", "data=ring8"),
    "oneDNN": ("trainer.onednn=true", "model.discriminator.hidden=[320,16]"),
    "oneDNN, members": ("trainer.onednn=true", "model.discriminator.hidden=[320,16]", "population.seeds=2"),
    "oneDNN, large layers": ("model.generator.hidden=[512,512]", "batch_size=64"),
    "members": ("data=ring8", "population.seeds=2", "population.over={loss: [saturating, nonsaturating]}"),
}
PLAIN = ("tracking=none", "callback=[statistics,saturation]", "callback.saturation.gradient_every=2", "log_every=3")


@pytest.fixture
def launches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often what was noted has been called, for each thing that was noted."""
    counts: list[int] = []
    record = Replay.record

    def counted(replay: Replay, function: Callable) -> Callable[[], None]:
        launch, place = record(replay, function), len(counts)
        counts.append(0)

        def counting() -> None:
            counts[place] += 1
            launch()

        return counting

    monkeypatch.setattr(Replay, "record", counted)
    return counts


def found(folder: Path) -> list:
    """What a run has left: rows but for the clock, and the last checkpoint, of each member."""
    return [
        (
            [{key: value for key, value in row.items() if key not in CLOCK} for row in rows(path)],
            {
                key: value
                for key, value in read(path.parent / "checkpoints" / LAST).items()
                if key in ("state_dict", "optimizer_states", "lr_schedulers", "loops")
            },
        )
        for path in sorted(folder.rglob(METRICS))
    ]


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize("words", mostly_slow(SETTINGS, "k=2, clipped, linear schedule"))
def test_a_replay_changes_no_bit(command: Callable, launches: list[int], tmp_path: Path, words: tuple[str, ...]):
    """Rows, weights, averages, optimizers, schedules; so in a run that goes on, with or without."""
    for name, replay in {"with": "auto", "without": "false"}.items():
        run = (*SMALL, *words, *PLAIN, f"trainer.replay={replay}", f"hydra.run.dir={name}")
        assert command(*run, "trainer.max_steps=12").code == 0
        assert command(f"resume={name}", "trainer.max_steps=17").code == 0
    updates = [12 - WARM_UP - 1, 5 - WARM_UP - 1]
    assert [n for n in launches if n in updates] == updates
    first, second = found(tmp_path / "with"), found(tmp_path / "without")
    assert len(first) == len(second) == 1 + ("population.seeds=2" in words) + 2 * (words == SETTINGS["members"])
    assert same(first, second)


class Mine(MLPDiscriminator):
    """As a user would write one."""


class Hooking(Callback):
    """Looks into D when training begins."""

    def setup(self, trainer, pl_module, stage):
        pl_module.discriminator.register_forward_hook(lambda *_: None)


class Watching(Callback):
    """Wants to see each iteration's end."""

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx): ...


class Asking(Callback):
    """Wants to see each gradient."""

    def on_after_backward(self, trainer, pl_module): ...


MINE = "model.discriminator._target_=test_replay.Mine"
WHETHER = {  # words, whether it is replayed, and the line that says why not
    "what is not ours is left alone": ((MINE,), False, None),
    "unless it is asked for": ((MINE, "trainer.replay=true"), True, None),
    "a hook of somebody's": (("+callback.mine._target_=test_replay.Hooking",), False, None),
    "dropout": (("model.discriminator.dropout=0.5",), False, None),
    "dropout, asked for": (
        ("model.discriminator.dropout=0.5", "trainer.replay=true"),
        False,
        "discriminator.net.3 draws from the iteration's number",
    ),
    "a value that is read": (
        ("model.discriminator._target_=tape.Reading", "trainer.replay=true"),
        False,
        "aten::_local_scalar_dense reads a value back",
    ),
    "a callback around updates": (
        ("+callback.mine._target_=test_replay.Asking", "trainer.replay=true"),
        False,
        "a callback, the precision or the strategy has a part in each update",
    ),
    "a callback around iterations": (("+callback.mine._target_=test_replay.Watching",), True, None),
    "a momentum that changes": (
        (
            *("optimizer=sgd", "+optimizer.discriminator.fused=true", "+optimizer.generator.fused=true"),
            *("schedule=goodfellow2014", "schedule.discriminator.start=6", "schedule.generator.start=6"),
            "trainer.replay=true",
        ),
        True,
        "momentum changes from iteration to iteration",
    ),
}


@pytest.mark.usefixtures("untyped")
@pytest.mark.slow
@pytest.mark.parametrize("case", WHETHER.values(), ids=WHETHER)
def test_what_cannot_be_replayed_is_trained_without(command: Callable, launches: list[int], tmp_path: Path, case):
    """A line says why, if a replay was asked for; weights are those of a run without."""
    words, replayed, reason = case
    run = (*SMALL, "tracking=none", "callback=[statistics]", *words, "trainer.max_steps=10")
    assert command(*run, "hydra.run.dir=with").code == 0
    assert (sum(launches) > 0) == replayed
    assert command(*run, "trainer.replay=false", "hydra.run.dir=without").code == 0
    log = (tmp_path / "with" / "train.log").read_text()
    said = [line.partition("trainer.replay: ")[2] for line in log.splitlines() if "trainer.replay: " in line]
    assert said == ([] if reason is None else [f"{reason}; iterations go through autograd"])
    assert same(found(tmp_path / "with"), found(tmp_path / "without"))


def replayed(function: Callable[[], list[Tensor]]) -> tuple[list[Tensor], Callable[[], None]]:
    results: list[Tensor] = []

    def kept() -> list[Tensor]:
        results.extend(function())
        return results

    return results, Replay().record(kept)


def test_results_and_gradients_stay_where_they_are():
    weight, x = nn.Parameter(torch.tensor([1.0, 2.0])), torch.tensor([3.0, 4.0])

    def function() -> list[Tensor]:
        weight.grad = None
        loss = (weight * x).square().sum()
        loss.backward()
        return [loss.detach()]

    (loss,), launch = replayed(function)
    assert (float(loss), weight.grad.tolist()) == (73.0, [18.0, 64.0])
    places = loss.data_ptr(), weight.grad.data_ptr()
    weight.grad = None
    x.copy_(torch.tensor([1.0, 1.0]))
    with torch.no_grad():
        weight.add_(1)
    launch()
    assert (float(loss), weight.grad.tolist()) == (13.0, [4.0, 6.0])
    assert (loss.data_ptr(), weight.grad.data_ptr()) == places


def test_a_number_of_pythons_is_the_same_in_each_call():
    """Though a kernel writes in its place."""
    x = torch.ones(())
    (total,), launch = replayed(lambda: [torch.tensor(2.0).add_(x)])
    launch()
    launch()
    assert float(total) == 3.0


class Called(TorchDispatchMode):
    """The names of the kernels that are called inside."""

    def __init__(self):
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(func._schema.name.removeprefix("aten::"))
        return func(*args, **(kwargs or {}))


def kernels_of(launch: Callable[[], None]) -> list[str]:
    with Called() as called:
        launch()
    return called.names


def test_what_follows_from_shapes_is_made_once():
    x = torch.arange(3.0)

    def function() -> list[Tensor]:
        weights = (torch.ones_like(x) / 3).expand(2, 3)
        return [x * weights]

    (product,), launch = replayed(function)
    x.add_(1)
    assert kernels_of(launch) == ["mul"]
    assert torch.equal(product, (x / 3).expand(2, 3))


def slope_of_leaky_relu(x: Tensor) -> list[Tensor]:
    """Whose gradient with respect to what it is taken of is constant, and x decides its side."""
    y = (1 - x).requires_grad_()
    return list(torch.autograd.grad(nn.functional.leaky_relu(y * 2, 0.2).mean(), [y]))


def test_products_within_other_kernels_stay_with_their_library():
    a, b, p, q = torch.randn(640, 128), torch.randn(128, 512), torch.randn(300, 700), torch.randn(310, 700)
    (product, distances), launch = replayed(lambda: [a @ b * 1, torch.cdist(p, q) * 1])
    expected = product.clone(), distances.clone()
    launch()
    assert torch.equal(product, expected[0])
    assert torch.equal(distances, expected[1])


def test_a_kernel_that_fails_leaves_the_library_as_it_was():
    a, b, v, w = torch.randn(640, 128), torch.randn(128, 512), torch.randn(3), torch.randn(3)
    _, launch = replayed(lambda: [a @ b * 1, v * w])
    v.resize_(5)
    with pytest.raises(RuntimeError, match="size"):
        launch()
    assert torch.get_float32_matmul_precision() == "highest"


@pytest.mark.parametrize(
    "function",
    [
        lambda x: [torch.zeros_like(x).add_(x) * 1],
        lambda x: [torch.rand_like(torch.zeros_like(x)) * x],
        lambda x: slope_of_leaky_relu(x),
        lambda x: [nn.functional.batch_norm(x.view(3, 1), m := torch.zeros(1), torch.ones(1), training=True), m * 1],
        lambda x: [(ones := torch.ones_like(x)).mul(2), ones.view(3, 1).sub_(x.view(3, 1))],  # by a view
        lambda x: [(ones := torch.ones_like(x)) * 2, ones],  # the caller's, who may write to it
        lambda x: [torch.rand_like(torch.zeros_like(x)), x * 1],
        lambda x: [torch.zeros_like(x) + x],
        lambda x: [torch.full_like(x, 2).copy_(x) / 2],
    ],
)
def test_what_is_written_to_or_drawn_is_made_in_each_call(function: Callable):
    torch.manual_seed(0)
    x = torch.arange(3.0)
    results, launch = replayed(lambda: function(x))
    for result in results:
        result.fill_(7)
    x.add_(1)
    torch.manual_seed(1)
    launch()
    torch.manual_seed(1)
    for one, other in zip(results, function(x), strict=True):
        assert torch.equal(one, other)


def test_views_and_kernels_with_several_results_are_followed():
    x = torch.arange(6.0).view(2, 3)
    results, launch = replayed(lambda: [*(x.t() + 1).unbind(), *torch.linalg.qr(x).Q.chunk(2), x.max(dim=1)[1]])
    x.copy_(torch.tensor([[5.0, 1.0, 0.0], [2.0, 2.0, 9.0]]))
    launch()
    expected = [*(x.t() + 1).unbind(), *torch.linalg.qr(x).Q.chunk(2), x.max(dim=1)[1]]
    assert all(torch.equal(one, other) for one, other in zip(results, expected, strict=True))


def test_what_is_written_to_first_need_not_be_filled():
    x = torch.ones(3)
    (total,), launch = replayed(lambda: [torch.empty(3).add_(x).copy_(x)])
    x.mul_(2)
    launch()
    assert total.tolist() == [2.0, 2.0, 2.0]


def test_a_number_is_added_to_many_tensors():
    """A count in float32 stays one; float64 is not narrowed."""
    steps = [torch.zeros(()), torch.zeros(())]
    exact = [torch.zeros((), dtype=torch.float64)]

    def function() -> list[Tensor]:
        torch._foreach_add_(steps, 1)
        torch._foreach_add_(exact, 0.1)
        return []

    _, launch = replayed(function)
    launch()
    assert [float(x) for x in (*steps, *exact)] == [2.0, 2.0, 0.2]


def test_each_call_draws_anew():
    """From torch's global generator, as the function itself would."""
    torch.manual_seed(0)
    (noise,), launch = replayed(lambda: [torch.randn(3) * 2])
    launch()
    torch.manual_seed(0)
    torch.randn(3)
    assert torch.equal(noise, torch.randn(3) * 2)


def test_autocast_has_had_its_part():
    """Kernels get the dtypes that they got, inside autocast and outside."""
    weight, x = torch.randn(4, 4), torch.randn(4, 4)

    def function() -> list[Tensor]:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            low = x @ weight
            with torch.autocast("cpu", enabled=False):
                return [low, x @ weight]

    (low, full), launch = replayed(function)
    x.add_(1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        launch()
    assert torch.equal(low, x.bfloat16() @ weight.bfloat16())
    assert torch.equal(full, x @ weight)


@pytest.mark.parametrize(
    ("function", "kernel"), [(lambda x: [x * x.sum().item()], "_local_scalar_dense"), (lambda x: [x[x > 0]], "index")]
)
def test_what_depends_on_values_is_refused(function: Callable, kernel: str):
    with pytest.raises(CannotBeRecorded, match=f"aten::{kernel}.* reads a value back"):
        replayed(lambda: function(torch.ones(3)))


def past_numpy(x: Tensor) -> list[Tensor]:
    y = x * 2
    return [torch.from_numpy(y.numpy()) + 1]


def past_storage(x: Tensor) -> list[Tensor]:
    y = x * 2
    return [torch.empty(0).set_(y.untyped_storage(), 0, (3,)) + 1]


def turned(x: Tensor) -> list[Tensor]:
    y = x.outer(x)
    return [y.t_() + x]


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (past_numpy, "a kernel's memory is used past torch"),
        (past_storage, r"aten::set_.* changes a tensor's shape in place"),
        (turned, "aten::t_ changes a tensor's shape in place"),
    ],
)
def test_what_cannot_be_followed_is_refused(function: Callable, reason: str):
    with pytest.raises(CannotBeRecorded, match=reason):
        replayed(lambda: function(torch.ones(3)))


STEPS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "sum": torch.add,
    "product": lambda x, y: torch.mm(x, y).tanh(),
    "added in place": lambda x, y: x.add_(y.clone()),
    "a row in place": lambda x, y: (x[1].mul_(y[0].clone()), x)[1],
    "turned": lambda x, _: x.t(),
    "turned and laid out": lambda x, _: x.t().contiguous(),
    "half": lambda x, y: torch.cat([x[:2], y[2:]]),
    "two at once": lambda x, y: sum(torch.linalg.qr(x), y),
    "narrowed": lambda x, y: x.bfloat16().float() - y,
    "empty, then filled": lambda x, y: torch.empty_like(x).copy_(y),
    "a number": lambda x, _: x * torch.tensor(0.5).add_(1),
    "rectified": lambda x, _: torch.nn.functional.leaky_relu(x, 0.2),
    "rectified against its sign": lambda x, _: torch.nn.functional.leaky_relu(x, -0.2),
    "its gradient": lambda x, y: torch.ops.aten.leaky_relu_backward(y, x, 0.2, False),
    "product of many": lambda x, y: torch.bmm(x.expand(2, 4, 4), y[None].repeat(2, 1, 1)).mT.contiguous()[1],
    "drawn": lambda x, _: x + torch.rand(x.shape),
    "a part of it": lambda x, y: torch.dropout(x, 0.5, True) - y,
}


@given(
    steps=st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 99), st.integers(0, 99)), max_size=15),
    results=st.lists(st.integers(0, 99), max_size=4),
)
def test_memory_is_shared_by_what_is_not_needed_at_once(steps: list[tuple[str, int, int]], results: list[int]):
    """Any kernels in any order, views and writes in place among them, give in a second call what they give."""

    def program(given: list[Tensor]) -> list[Tensor]:
        made = [x * 1 for x in given]
        for name, i, j in steps:
            made.append(STEPS[name](made[i % len(made)], made[j % len(made)]))
        return [made[i % len(made)] for i in results]

    given = [torch.rand(4, 4), torch.rand(4, 4)]
    found, launch = replayed(lambda: program(given))
    for x in given:
        x.uniform_()
    torch.manual_seed(0)
    launch()
    torch.manual_seed(0)
    expected = program(given)
    torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)


def test_nothing_is_allocated_for_what_has_a_place():
    """Of 20 kernels, each of whose results the next one needs, two places are in use at once."""
    x, notes = torch.ones(64, 64), Notes()
    with notes:
        y = x
        for _ in range(20):
            y = torch.tanh(y.t())
    assert len(notes.lines) == 20
    assert len({place.data_ptr() for place in places(notes.lines, notes.blocks, {}).values()}) == 2


def test_an_error_of_the_functions_own_is_its_own():
    with pytest.raises(RuntimeError, match="size"):
        replayed(lambda: [torch.ones(2) @ torch.ones(3)])
