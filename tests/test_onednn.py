"""Products of float32 go to oneDNN where it is faster and loses nothing, and to MKL elsewhere."""

from collections.abc import Callable

import pytest
import torch
from small import SMALL
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from ganduel import gan, onednn
from ganduel.algorithm import Algorithm1
from ganduel.build import build_gan
from ganduel.callback.statistics import Statistics
from ganduel.gan import total_norm
from ganduel.onednn import MKL, ONEDNN, chosen, is_large, keeps_float32, products_by


@pytest.fixture(autouse=True)
def mkl():
    """As a process begins, also for what comes next."""
    yield
    torch.set_float32_matmul_precision(MKL)


@pytest.mark.parametrize(
    ("network", "samples", "expected"),
    [
        (nn.Sequential(nn.Linear(8, 8), nn.Linear(1000, 200)), 100, True),
        (nn.Sequential(nn.Linear(8, 8), nn.Linear(1000, 200)), 99, False),
        (nn.Sequential(nn.Conv2d(200, 200, 5), nn.ReLU()), 100, False),  # which goes to oneDNN in any case
    ],
)
def test_a_large_layer(network: nn.Module, samples: int, expected: bool):
    assert is_large(network, samples) == expected


def test_looking_at_layers_changes_nothing():
    """To read a weight under spectral norm is a step of its power iteration."""
    network = nn.Sequential(spectral_norm(nn.Linear(3, 2)))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    is_large(network, 10)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.fixture
def uncached():
    keeps_float32.cache_clear()
    yield
    keeps_float32.cache_clear()


@pytest.mark.usefixtures("uncached")
def test_a_processor_on_which_digits_are_lost(monkeypatch: pytest.MonkeyPatch):
    """Where oneDNN is there and would compute in bfloat16, as here autocast does."""
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    monkeypatch.setattr(onednn, "products_by", lambda _: torch.autocast("cpu", dtype=torch.bfloat16))
    assert not keeps_float32()


@pytest.mark.usefixtures("uncached")
def test_a_torch_without_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert not keeps_float32()


LARGE = ("batch_size=200", "model.discriminator.hidden=[200]")  # 784 x 200 weights


@pytest.mark.parametrize(
    ("words", "inside"),
    [
        (("batch_size=200",), MKL),
        (LARGE, ONEDNN),
        ((*LARGE, "population.seeds=1"), ONEDNN),
        ((*LARGE, "trainer.onednn=false"), MKL),
        ((*LARGE, "trainer.onednn=false", "population.seeds=1"), MKL),
        ((*LARGE, "trainer.precision=bf16-mixed"), MKL),
        (("trainer.onednn=true",), ONEDNN),
    ],
)
def test_iterations_of_large_layers_and_nothing_else(
    command: Callable, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], inside: str
):
    monkeypatch.setattr(gan, "keeps_float32", lambda: True)
    seen = {}
    for place, method in ((Algorithm1, "update"), (Statistics, "on_train_batch_end")):
        watch(monkeypatch, place, method, seen)
    ended = command(*SMALL, *words, "tracking=none", "callback=[statistics]", "trainer.max_steps=2")
    assert ended.code == 0
    assert seen == {"update": {inside}, "on_train_batch_end": {MKL}}
    assert chosen() == MKL


def watch(monkeypatch: pytest.MonkeyPatch, place: type, method: str, seen: dict[str, set]) -> None:
    """Note by which library products are computed when a method is called."""
    call = getattr(place, method)

    def watching(*args):
        seen.setdefault(method, set()).add(chosen())
        return call(*args)

    monkeypatch.setattr(place, method, watching)


def test_what_the_user_has_chosen_stays(command: Callable, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gan, "keeps_float32", lambda: False)
    seen: dict[str, set] = {}
    watch(monkeypatch, Algorithm1, "update", seen)
    words = (*SMALL, "tracking=none", "callback=[statistics]", "trainer.max_steps=2", "trainer.onednn=true")
    assert command(*words, "trainer.matmul_precision=high").code == 0
    assert command(*words, "trainer.matmul_precision=medium").code == 0
    assert seen["update"] == {"high", ONEDNN}


def test_a_run_of_old_goes_on_as_it_has_begun(tiny, images):
    config = tiny()
    del config["trainer"]["onednn"]
    assert build_gan(config, images).onednn is False


def test_products_of_vectors_stay_with_mkl():
    """Which oneDNN takes eight times as long for."""
    tensors = [torch.randn(300, 300) for _ in range(3)]
    with products_by(ONEDNN):
        inside = total_norm(tensors)
        assert chosen() == ONEDNN
    assert torch.equal(inside, total_norm(tensors))


def test_a_program_that_chooses_by_torch_backends():
    """For which, and for the older way at once, torch has no word."""
    before, torch.backends.mkldnn.matmul.fp32_precision = torch.backends.mkldnn.matmul.fp32_precision, "bf16"
    try:
        assert chosen() is None
        with products_by(MKL):
            assert torch.backends.mkldnn.matmul.fp32_precision == "bf16"
        torch.testing.assert_close(total_norm([torch.ones(4)]), torch.tensor(2.0))
    finally:
        torch.backends.mkldnn.matmul.fp32_precision = before
