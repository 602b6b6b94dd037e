"""Which runs may be compared with which: those whose configs are equal in everything but the factor, seed by seed.

    factor     what is compared: a group such as loss, a key such as k or optimizer.generator.lr, or experiment
    level      a value that the factor takes
    stratum    runs that agree in all that varies besides factor and seed; comparisons stay within one
    pair       two runs of a stratum, of different levels and the same seed: same data order, same noise

What a run does not depend on (where it is logged, which metrics watch it, a password) does not keep runs apart;
versions and machines do not either, but are named where they differ.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ganduel.compare.reading import Run
from ganduel.errors import UserError, nearest
from ganduel.tracking.run_name import HARDWARE_KEYS, IGNORED_IN_COMPARISON, without_secrets

FIRST = ("loss", "experiment", "penalty", "k")  # the factors that one would ask for, where they vary
BESIDES = ("versions", "machine", "git")  # of a run, named where they differ

Values = tuple[str | None, ...]


@dataclass(frozen=True)
class Design:
    """The runs in their places.

    Attributes:
        factor: what is compared.
        levels: its values, as labels.
        strata: labels of the strata; a single "" if nothing else varies.
        cells: the run of each (stratum, level, seed).
        repeated: runs of a place that is taken.
        besides: what differs among the runs that is no part of what they compute, in words.
        flats: for each folder of a run what its result depends on, as of `flat`, without secrets.
    """

    factor: str
    levels: list[str]
    strata: list[str]
    cells: Mapping[tuple[str, str, int], Run]
    repeated: list[Run] = field(default_factory=list)
    besides: list[str] = field(default_factory=list)
    flats: Mapping[Path, Mapping[str, str]] = field(default_factory=dict)

    def of(self, stratum: str, level: str) -> dict[int, Run]:
        """The runs of a level in a stratum, by seed."""
        return {place[2]: run for place, run in sorted(self.cells.items(), key=order) if place[:2] == (stratum, level)}

    def pairs(self, stratum: str, first: str, second: str) -> dict[int, tuple[Run, Run]]:
        """The runs of two levels that belong together, by seed."""
        one, two = self.of(stratum, first), self.of(stratum, second)
        return {seed: (one[seed], two[seed]) for seed in one if seed in two}

    def unpaired(self, stratum: str, first: str, second: str) -> list[Run]:
        """The runs of two levels without a partner."""
        one, two = self.of(stratum, first), self.of(stratum, second)
        return [run for own, others in ((one, two), (two, one)) for seed, run in own.items() if seed not in others]


def order(item: tuple[tuple[str, str, int], Run]) -> int:
    return item[0][2]


def arrange(runs: Sequence[Run], factor: str | None = None) -> Design:
    """Find each run's place.

    Args:
        runs: at least one.
        factor: what is compared; None: the first of loss, experiment, penalty, k that varies, or else whatever does.

    Raises:
        UserError: the factor is not in the configs.
    """
    flats = [flat(without_secrets(run.config)) for run in runs]
    units = varying(runs, flats)
    factor = chosen(factor, units, runs, flats)
    own = units.pop(factor, []) or keys_of(factor, flats)
    levels = labels(factor, own, runs, flats)
    if len(own) == 1 and not any(factor in choices(run) for run in runs):
        levels = [f"{factor.rpartition('.')[2]}={label}" for label in levels]  # 5 alone would say little
    rest = without(own, units)
    parts = [[f"{unit}={label}" for label in labels(unit, keys, runs, flats)] for unit, keys in rest.items()]
    strata = [", ".join(words) for words in zip(*parts, strict=True)] if parts else [""] * len(runs)
    cells: dict[tuple[str, str, int], Run] = {}
    repeated = []
    for run, stratum, level in zip(runs, strata, levels, strict=True):
        place = (stratum, level, int(run.config["seed"]))
        if place in cells:
            better = run.status == "finished" and cells[place].status != "finished"
            repeated.append(cells[place] if better else run)
            if not better:
                continue
        cells[place] = run
    by_folder = {run.folder: one for run, one in zip(runs, flats, strict=True)}
    return Design(factor, natural(set(levels)), natural(set(strata)), cells, repeated, besides(runs), by_folder)


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """What a run's result depends on: dotted keys, with values as JSON."""
    found: dict[str, str] = {}
    for name, value in config.items():
        key = f"{prefix}{name}"
        if key in IGNORED_IN_COMPARISON or key in HARDWARE_KEYS:
            continue
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{key}.")
        else:
            found[key] = json.dumps(value, ensure_ascii=False, default=str)
    return found


def choices(run: Run) -> Mapping[str, Any]:
    """What was chosen in each group of the config."""
    found = run.config["run"].get("choices")
    return found if isinstance(found, Mapping) else {}


def varying(runs: Sequence[Run], flats: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    """What varies among the runs besides the seed, a group, an experiment or a key, with the keys that belong to it."""
    everywhere = sorted({key for one in flats for key in one} - {"seed"})
    keys = [key for key in everywhere if len({one.get(key) for one in flats}) > 1]
    units: dict[str, list[str]] = {}
    for key in keys:
        top = key.partition(".")[0]
        grouped = len({str(choices(run).get(top)) for run in runs}) > 1
        units.setdefault(top if grouped else key, []).append(key)
    experiments = [str(choices(run).get("experiment")) for run in runs]
    if len(set(experiments)) > 1:
        told = [unit for unit, own in units.items() if follows(own, experiments, flats)]
        if told:
            units = {"experiment": [key for unit in told for key in units.pop(unit)], **units}
    return units


def follows(keys: Iterable[str], experiments: Sequence[str], flats: Sequence[Mapping[str, str]]) -> bool:
    """Whether the values of the keys are the same wherever the experiment is."""
    keys = list(keys)
    pairs = {(name, *(one.get(key) for key in keys)) for name, one in zip(experiments, flats, strict=True)}
    return len(pairs) == len(set(experiments))


def without(own: Sequence[str], units: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """The units without the keys of the factor; one that has some of them falls into its other keys."""
    found: dict[str, list[str]] = {}
    for unit, keys in units.items():
        left = [key for key in keys if key not in own]
        found |= {unit: keys} if left == keys else {key: [key] for key in left}
    return found


def chosen(
    factor: str | None, units: Mapping[str, list[str]], runs: Sequence[Run], flats: Sequence[Mapping[str, str]]
) -> str:
    """The factor, asked for or found."""
    if factor is None:
        return next((name for name in (*FIRST, *units) if name in units), "loss")
    if factor == "seed":
        raise UserError("--factor seed cannot be: runs are paired by their seeds.")
    if factor in units or keys_of(factor, flats) or any(factor in choices(run) for run in runs):
        return factor
    known = {key for one in flats for key in one} | set(choices(runs[0]))
    raise UserError(f"--factor {factor} is not in the runs' configs. {nearest(factor, known, units)}")


def keys_of(factor: str, flats: Sequence[Mapping[str, str]]) -> list[str]:
    """The keys of a factor that need not vary."""
    found = {key for one in flats for key in one if key == factor or key.startswith(f"{factor}.")}
    return sorted(found)


def labels(unit: str, keys: Sequence[str], runs: Sequence[Run], flats: Sequence[Mapping[str, str]]) -> list[str]:
    """What each run's value is called: the choice of a group, with the values that tell apart runs of one choice.

    Values are shortened unless two would then be called the same.
    """
    grouped = any(unit in choices(run) for run in runs)
    names = [str(choices(run).get(unit)) if grouped else "" for run in runs]
    values = [tuple(one.get(key) for key in keys) for one in flats]
    made = []
    for shown in (short, full):
        made = called(names, values, [key.removeprefix(f"{unit}.") for key in keys], shown)
        if len(set(made)) == len(set(zip(names, values, strict=True))):
            break
    return made


def called(
    names: Sequence[str], values: Sequence[Values], keys: Sequence[str], shown: Callable[[str | None], str]
) -> list[str]:
    """The names, each with the values in which runs of that name differ; without names, the values."""
    made = []
    for name, row in zip(names, values, strict=True):
        same = {other for other_name, other in zip(names, values, strict=True) if other_name == name}
        differing = [n for n in range(len(keys)) if not name or len({other[n] for other in same}) > 1]
        words = ", ".join(f"{keys[n]}={shown(row[n])}" if name else shown(row[n]) for n in differing)
        made.append(f"{name} ({words})" if name and words else name or words)
    return made


def short(value: str | None) -> str:
    """A value as one would type it; of a class its name."""
    text = full(value).strip('"')
    return text.rpartition(".")[2] if re.fullmatch(r"[A-Za-z_]\w*(\.\w+)+", text) else text


def full(value: str | None) -> str:
    """A value as JSON."""
    return "absent" if value is None else value


def natural(names: Iterable[str]) -> list[str]:
    """In order, numbers by their size; where they are equal, as 1 and 1.0 are, by how they are written."""

    def key(name: str) -> tuple[list[tuple[int, float, str]], str]:
        words = re.split(r"(\d+(?:\.\d+)?(?:e[-+]?\d+)?)", name)
        return [(1, 0.0, word) if n % 2 == 0 else (0, float(word), "") for n, word in enumerate(words) if word], name

    return sorted(names, key=key)


def besides(runs: Sequence[Run]) -> list[str]:
    """What differs besides, such as "versions.torch: 2.12.0 (3 runs), 2.13.0 (7 runs)"."""
    origins = [origin(run) for run in runs]
    said = []
    for key in dict.fromkeys(key for one in origins for key in one):
        counts = Counter(short(one.get(key)) for one in origins)
        words = [f"{value} ({n} run{'s' * (n > 1)})" for value, n in counts.items()]
        if len(words) > 1:
            said.append(f"{key}: {', '.join(words)}")
    return said


def origin(run: Run) -> dict[str, str]:
    """Where a run was computed and by what: dotted keys, with values as JSON."""
    known = {key: run.config["run"][key] for key in BESIDES if run.config["run"].get(key) is not None}
    trainer = run.config.get("trainer") or {}
    where = {key: trainer.get(key.partition(".")[2]) for key in HARDWARE_KEYS}
    return flat(known) | {key: json.dumps(value, default=str) for key, value in where.items()}
