"""Data of a run: where they are, and whether they are the same."""

from unittest.mock import Mock

import pytest
import torch
from PIL import Image

from ganduel.data.base import TensorData
from ganduel.data.gaussian1d import Gaussian1D
from ganduel.errors import UserError
from ganduel.factory.data import build_data, check_data, data_record, moved


def recorded(data, **changes):
    """The config of a run that was trained on the data."""
    config = {"data": {"_target_": "ganduel.data.images.Images"}, "run": {}}
    return {**config, "run": {"data": {**data_record(config, data), **changes}}}


def test_data_of_a_run_are_known_again():
    x = torch.arange(6.0).reshape(3, 2)
    check_data(recorded(TensorData(x)), TensorData(x))
    labels = torch.tensor([0, 1, 0])
    check_data(recorded(TensorData(x, labels)), TensorData(x, labels))
    with pytest.raises(UserError, match=r"now has the same in other classes\."):
        check_data(recorded(TensorData(x, labels)), TensorData(x, 1 - labels))
    kept, now = Mock(TensorData), Mock(TensorData)
    kept.fingerprint = {**TensorData(x).fingerprint, "labels": "a", "classes": ["cat", "dog"]}
    now.fingerprint = {**kept.fingerprint, "classes": ["ant", *map(str, range(11))]}
    others = r"\(ant, 0, 1, 2, 3, 4, 5, 6, 7, 8 and 2 more\)"
    with pytest.raises(
        UserError, match=rf"^the run .* \(2,\) \(cat, dog\), and .* the same in other classes {others}\.$"
    ):
        check_data(recorded(kept), now)
    check_data({"data": {}}, TensorData(x))
    check_data({"run": {}}, TensorData(x))  # of an older version
    check_data(recorded(Gaussian1D()), Gaussian1D(mean=3.0))  # never ends; its config says it all
    trained = r"^the run was trained on 3 samples of shape \(2,\), and"
    for data, number in ((x + 1, "as many others"), (x[:1], "1"), (x.reshape(2, 3), r"2 of shape \(3,\)")):
        with pytest.raises(UserError, match=rf"{trained} its data set now has {number}\.$"):
            check_data(recorded(TensorData(x)), TensorData(data))
        with pytest.raises(UserError, match=rf"{trained} /there now has {number}\. Say where .*: data\.dir=FOLDER\.$"):
            check_data(recorded(TensorData(x), dir="/there"), TensorData(data))


def test_data_are_looked_for_where_they_are_on_record(tmp_path, monkeypatch):
    Image.new("RGB", (4, 4)).save(tmp_path / "x.png")
    monkeypatch.chdir(tmp_path.parent)
    config = {"data": {"_target_": "ganduel.data.images.Images", "dir": tmp_path.name, "size": 4}, "run": {}}
    config["run"]["data"] = data_record(config, build_data(config))
    assert config["run"]["data"]["dir"] == str(tmp_path)
    monkeypatch.chdir("/")
    assert build_data(config).size == 1
    assert build_data(moved(config | {"run": {}}, str(tmp_path))).size == 1
    with pytest.raises(
        UserError, match=r"the run's data were in /none, which is no folder now\. Say where they are: data"
    ):
        build_data(moved(config, "/none"))
    with pytest.raises(UserError, match=r"data\.dir=/x: the run's data are not from a folder"):
        moved({"data": {}, "run": {}}, "/x")
