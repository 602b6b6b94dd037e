"""Matmuls of float32 go to oneDNN where it is faster and loses no digits, and to MKL elsewhere."""

from collections.abc import Callable

import pytest
import torch
from small import SMALL
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from ganduel.callback.save import Save
from ganduel.callback.statistics import Statistics
from ganduel.gan import GAN
from ganduel.run import matmul
from ganduel.run.matmul import MKL, ONEDNN, keeps_float32, matmul_precision, pays, set_to


@pytest.fixture(autouse=True)
def mkl():
    """As a process begins, also for what comes next."""
    yield
    torch.set_float32_matmul_precision(MKL)


def config(samples: int = 100, ranks: int = 1, **trainer) -> dict:
    """What of a run's config the choice depends on."""
    values = {"accelerator": "cpu", "devices": ranks, "num_nodes": 1, "precision": "32-true", **trainer}
    return {"batch_size": samples * ranks, "trainer": {"matmul_precision": "auto", **values}}


LARGE_LAYER = nn.Sequential(nn.Linear(8, 8), nn.Linear(1000, 200))


@pytest.mark.parametrize(
    ("network", "samples", "expected"),
    [
        (LARGE_LAYER, 100, True),
        (LARGE_LAYER, 99, False),
        (nn.Sequential(nn.Conv2d(200, 200, 5), nn.ReLU()), 100, False),  # which goes to oneDNN in any case
        (nn.Sequential(), 100, False),
    ],
)
def test_it_pays_for_a_large_layer(network: nn.Module, samples: int, expected: bool):
    """In either network."""
    other = nn.Linear(2, 2)
    for networks in ((network, other), (other, network)):
        assert pays(config(samples), *networks) == expected


def test_the_samples_are_those_of_one_rank():
    assert pays(config(100, ranks=2), LARGE_LAYER)
    assert not pays(config(99, ranks=2), LARGE_LAYER)


@pytest.mark.parametrize("precision", ["64-true", "bf16-mixed", "16-mixed"])
def test_it_pays_in_float32_alone(precision: str):
    assert not pays(config(precision=precision), LARGE_LAYER)


def test_it_pays_on_a_cpu_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    assert pays(config(accelerator="cpu"), LARGE_LAYER)
    for accelerator in ("auto", "gpu", "cuda"):
        assert not pays(config(accelerator=accelerator), LARGE_LAYER)


def test_looking_at_layers_changes_nothing():
    """In training, to read a weight under spectral norm is a step of its power iteration."""
    network = nn.Sequential(spectral_norm(nn.Linear(30, 20)))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    pays(config(), network)
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
    monkeypatch.setattr(matmul, "set_to", lambda _: torch.autocast("cpu", dtype=torch.bfloat16))
    assert not keeps_float32()


@pytest.mark.usefixtures("uncached")
def test_a_torch_without_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert not keeps_float32()


@pytest.mark.usefixtures("uncached")
def test_the_trial_leaves_the_setting_and_the_global_generator():
    torch.set_float32_matmul_precision("high")
    state = torch.get_rng_state()
    keeps_float32()
    assert torch.get_float32_matmul_precision() == "high"
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("keeps", "wanted", "network", "inside"),
    [
        (True, "auto", LARGE_LAYER, ONEDNN),
        (False, "auto", LARGE_LAYER, MKL),
        (True, "auto", nn.Linear(2, 2), MKL),
        (True, "highest", LARGE_LAYER, MKL),
        (False, "medium", nn.Linear(2, 2), ONEDNN),
        (False, "high", nn.Linear(2, 2), "high"),
    ],
)
def test_what_is_set_inside(monkeypatch: pytest.MonkeyPatch, keeps, wanted, network, inside):
    """What a user asks for is not questioned; outside the setting is what it was."""
    monkeypatch.setattr(matmul, "keeps_float32", lambda: keeps)
    values = config(matmul_precision=wanted)
    for before in ("highest", "high"):
        torch.set_float32_matmul_precision(before)
        with matmul_precision(values, network):
            assert torch.get_float32_matmul_precision() == inside
        assert torch.get_float32_matmul_precision() == before


def test_the_setting_comes_back_after_a_failure():
    with pytest.raises(ZeroDivisionError), set_to("high"):
        raise ZeroDivisionError
    assert torch.get_float32_matmul_precision() == MKL


LARGE = ("batch_size=200", "model.discriminator.hidden=[200]")  # 784 × 200 weights


def slow(*case):
    """A case of which the functions above leave little to show."""
    return pytest.param(*case, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("words", "inside"),
    [
        (LARGE, ONEDNN),
        ((*LARGE, "population.seeds=1"), ONEDNN),
        ((*LARGE, "trainer.matmul_precision=highest"), MKL),
        (("trainer.matmul_precision=high",), "high"),
        slow(("batch_size=200",), MKL),
        slow((*LARGE, "trainer.matmul_precision=highest", "population.seeds=1"), MKL),
        slow((*LARGE, "trainer.precision=bf16-mixed"), MKL),
        slow(("trainer.matmul_precision=medium",), ONEDNN),
    ],
)
def test_one_setting_for_a_whole_run_and_nothing_after_it(
    command: Callable, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], inside: str
):
    monkeypatch.setattr(matmul, "keeps_float32", lambda: True)
    seen = {}
    for part, method in ((GAN, "update"), (Statistics, "on_train_batch_end"), (Save, "on_train_batch_end")):
        watch(monkeypatch, part, method, seen)
    ended = command(*SMALL, *words, "tracking=none", "callback=[statistics]", "trainer.max_steps=2")
    assert ended.code == 0
    assert seen == {
        "GAN.update": {inside},
        "Statistics.on_train_batch_end": {inside},
        "Save.on_train_batch_end": {inside},
    }
    assert torch.get_float32_matmul_precision() == MKL


def watch(monkeypatch: pytest.MonkeyPatch, part: type, method: str, seen: dict[str, set]) -> None:
    """Record torch's setting when a method is called."""
    call = getattr(part, method)

    def watching(*args):
        seen.setdefault(f"{part.__name__}.{method}", set()).add(torch.get_float32_matmul_precision())
        return call(*args)

    monkeypatch.setattr(part, method, watching)
