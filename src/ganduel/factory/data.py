"""Data from their config, and what a run has on record about them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganduel import rng
from ganduel.data.base import Data
from ganduel.errors import UserError, listed, printable
from ganduel.factory.networks import build_condition
from ganduel.factory.part import build


def build_data(config: Mapping[str, Any]) -> Data:
    """The data of a resolved config; those of a run that has begun are in the folder that is on record.

    They are the same for all seeds, whatever their constructor draws from.
    """
    node, folder, condition = config["data"], recorded_data(config).get("dir"), build_condition(config)
    if folder is not None and not Path(folder).is_dir():
        raise UserError(
            f"the run's data were in {folder}, which is no folder now. Say where they are: data.dir=FOLDER."
        )
    with rng.all_seeded("data"):
        data = build(node if folder is None else {**node, "dir": folder})
    if condition.takes_labels and data.classes is None:
        data.use_labels()
    return data


def check_data(config: Mapping[str, Any], data: Data, run: str = "the run") -> None:
    """Refuse other data than those that a run is on record to have been trained on."""
    recorded, found = recorded_data(config), data.fingerprint
    if found is None or "checksum" not in recorded or recorded == {**recorded, **found}:
        return
    same = {key for key, value in found.items() if recorded.get(key) == value}
    number = "as many others" if {"samples", "shape"} <= same else f"{found['samples']:,}"
    if {"samples", "shape", "checksum"} <= same:
        number = f"the same in other classes{named_classes(found)}"
    shape = "" if "shape" in same else f" of shape {tuple(found['shape'])}"
    raise UserError(
        f"{run} was trained on {recorded['samples']:,} samples of shape {tuple(recorded['shape'])}"
        f"{named_classes(recorded)}, and {recorded.get('dir', 'its data set')} now has {number}{shape}."
        + (" Say where those of the run are: data.dir=FOLDER." if "dir" in recorded else "")
    )


def named_classes(record: Mapping[str, Any]) -> str:
    """The names of the classes that data are on record with, in brackets; nothing where they have none."""
    names = [printable(str(name)) for name in record.get("classes", ())]
    return f" ({listed(names)})" if names else ""


def data_record(config: Mapping[str, Any], data: Data) -> dict[str, Any]:
    """What a run's config says about its data besides how to build them: the folder, absolute, and the fingerprint."""
    folder = config["data"].get("dir")
    located = {"dir": absolute(folder)} if isinstance(folder, str) and Path(absolute(folder)).is_dir() else {}
    return {**located, **(data.fingerprint or {}), **recorded_data(config)}


def absolute(folder: str) -> str:
    return str(Path(folder).expanduser().absolute())


def recorded_data(config: Mapping[str, Any]) -> dict[str, Any]:
    """The same of a run that has begun; empty for one that has not, or of an older version."""
    return config.get("run", {}).get("data", {})


def moved(config: Mapping[str, Any], folder: str) -> dict[str, Any]:
    """The config of a run whose data are in another folder now."""
    if "dir" not in config["data"]:
        raise UserError(f"data.dir={folder}: the run's data are not from a folder.")
    return {**config, "run": {**config["run"], "data": {**recorded_data(config), "dir": absolute(folder)}}}
