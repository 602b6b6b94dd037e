"""A population is split evenly among as many processes as pay."""

import pytest
import torch
from torch import nn

from ganduel.errors import UserError
from ganduel.population.processes import (
    MAX_PARAMS_FOR_MULTIPROCESS,
    number_of_params,
    number_of_processes,
    split_evenly,
    threads,
)

CPU = {"accelerator": "cpu", "devices": 1, "num_nodes": 1}


@pytest.mark.parametrize(
    ("cores", "members", "weights", "expected"),
    [
        (2, 32, 1000, 2),
        (16, 32, 1000, 8),  # of four members each
        (2, 7, 1000, 1),
        (2, 3, 1000, 1),
        (1, 32, 1000, 1),
        (2, 32, MAX_PARAMS_FOR_MULTIPROCESS + 1, 1),
    ],
)
def test_one_a_core_where_networks_are_small(monkeypatch, cores: int, members: int, weights: int, expected: int):
    monkeypatch.setattr(torch, "get_num_threads", lambda: cores)
    assert number_of_processes("auto", CPU, members, weights) == expected


@pytest.mark.parametrize(("requested", "expected"), [(1, 1), (3, 3), (40, 32)])
def test_as_many_as_are_asked_for(requested: int, expected: int):
    assert number_of_processes(requested, CPU, 32, 2 * MAX_PARAMS_FOR_MULTIPROCESS) == expected


@pytest.mark.parametrize(("requested", "members", "expected"), [("auto", 32, 3), (3, 32, 3), ("auto", 2, 2)])
def test_one_for_each_device(requested: str | int, members: int, expected: int):
    assert number_of_processes(requested, CPU | {"devices": 3}, members, 1000) == expected


def test_one_for_each_gpu(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    assert number_of_processes("auto", CPU | {"accelerator": "auto"}, 32, 1000) == 1
    assert number_of_processes("auto", CPU, 32, 1000) == 8


@pytest.mark.parametrize(
    ("requested", "devices", "message"),
    [
        (0, 1, "population.processes=0 is neither auto nor a number from 1."),
        (True, 1, "population.processes=True is neither"),
        ("many", 1, "population.processes=many is neither"),
        (2, 3, "population.processes=2: there is one for each of trainer.devices=3. Leave it at auto."),
    ],
)
def test_what_cannot_be(requested: object, devices: int, message: str):
    with pytest.raises(UserError) as error:
        number_of_processes(requested, CPU | {"devices": devices}, 32, 1000)
    assert message in str(error.value)


def test_cores_and_members_are_shared_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 5)
    assert [threads(n) for n in (1, 2, 5, 9)] == [5, 2, 1, 1]
    assert split_evenly(["a", "b", "c", "d", "e"], 2) == [["a", "b"], ["c", "d", "e"]]


def test_the_number_of_params_networks():
    assert number_of_params(nn.Linear(3, 2), nn.Linear(2, 1, bias=False)) == 3 * 2 + 2 + 2
