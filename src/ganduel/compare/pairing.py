"""Which runs are compared with which: those whose configs are equal in everything but the factor, seed by seed.

    factor     what is compared: a group such as loss, a key such as k or optimizer.generator.lr, or experiment
    level      a value of the factor
    stratum    runs that agree in everything that varies besides factor and seed; comparisons stay within one
    pair       two runs of a stratum, of different levels and the same seed: same data order, same noise

Keys that do not affect the result (logging, metrics, passwords) do not separate runs, nor does the folder of the same
data. Versions and machines do not either, but are reported where they differ. Runs on a CPU and on a GPU are never
paired, nor those on another number of ranks if their result depends on it (device.py).
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ganduel.compare.device import split_by_hardware
from ganduel.compare.labels import choices, labels, natural_sort, short
from ganduel.compare.reading import Run
from ganduel.errors import UserError, nearest
from ganduel.tracking.run_name import HARDWARE_KEYS, IGNORED_IN_COMPARISON

FIRST = ("loss", "experiment", "penalty", "k")  # the default factor is the first of these that varies
DATA_FOLDER = "data.dir"
ENVIRONMENT_KEYS = ("versions", "machine", "git")  # of `run` in the config, reported where they differ


@dataclass(frozen=True)
class Design:
    """The runs by stratum, level and seed.

    Attributes:
        factor: what is compared.
        levels: labels of its values.
        strata: labels of the strata; a single "" if nothing else varies.
        cells: the run of each (stratum, level, seed).
        duplicates: further runs of the same stratum, level and seed, each with the one that is compared.
        environment_differences: which versions, machines and devices the runs differ in, as text.
        flat_configs: per run folder the config keys that affect the result, as of `flat`, without secrets.
        hardware: the device type of each stratum, and the number of ranks where it matters, as far as they are known.
    """

    factor: str
    levels: list[str]
    strata: list[str]
    cells: Mapping[tuple[str, str, int], Run]
    duplicates: list[tuple[Run, Run]] = field(default_factory=list)
    environment_differences: list[str] = field(default_factory=list)
    flat_configs: Mapping[Path, Mapping[str, str]] = field(default_factory=dict)
    hardware: Mapping[str, tuple[str | None, int | None]] = field(default_factory=dict)

    def of(self, stratum: str, level: str) -> dict[int, Run]:
        """The runs of a level in a stratum, by seed."""
        return {key[2]: run for key, run in sorted(self.cells.items(), key=seed_of) if key[:2] == (stratum, level)}

    def pairs(self, stratum: str, first: str, second: str) -> dict[int, tuple[Run, Run]]:
        """The pairs of two levels, by seed."""
        one, two = self.of(stratum, first), self.of(stratum, second)
        return {seed: (one[seed], two[seed]) for seed in one if seed in two}

    def unpaired(self, stratum: str, first: str, second: str) -> list[Run]:
        """The runs of two levels without a partner."""
        one, two = self.of(stratum, first), self.of(stratum, second)
        return [run for runs, others in ((one, two), (two, one)) for seed, run in runs.items() if seed not in others]


def seed_of(item: tuple[tuple[str, str, int], Run]) -> int:
    return item[0][2]


def arrange(runs: Sequence[Run], factor: str | None = None) -> Design:
    """Assign each run its stratum and level.

    Args:
        runs: at least one.
        factor: what is compared; None: the first of loss, experiment, penalty, k that varies, or else whatever does.

    Raises:
        UserError: the factor is not in the configs.
    """
    flat_configs = flatten(runs)
    groups = varying_groups(runs, flat_configs)
    factor = select_factor(factor, groups, runs, flat_configs)
    factor_keys = groups.pop(factor, []) or keys_of(factor, flat_configs)
    levels = labels(factor, factor_keys, runs, flat_configs)
    chosen = [choices(run)[factor] for run in runs if factor in choices(run)]
    if (len(factor_keys) == 1 and not chosen) or any(isinstance(choice, list) for choice in chosen):
        levels = [f"{factor.rpartition('.')[2]}={label}" for label in levels]  # 5 or [r1] alone would say little
    rest = without_keys(factor_keys, groups)
    parts = [[f"{name}={label}" for label in labels(name, keys, runs, flat_configs)] for name, keys in rest.items()]
    strata = [", ".join(texts) for texts in zip(*parts, strict=True)] if parts else [""] * len(runs)
    strata = split_by_hardware(strata, runs)
    cells: dict[tuple[str, str, int], Run] = {}
    left_out = []
    for run, stratum, level in zip(runs, strata, levels, strict=True):
        key = (stratum, level, int(run.config["seed"]))
        if key in cells:
            better = run.status == "finished" and cells[key].status != "finished"
            left_out.append((cells[key] if better else run, key))
            if not better:
                continue
        cells[key] = run
    by_folder = {run.folder: config for run, config in zip(runs, flat_configs, strict=True)}
    differences = environment_differences(runs)
    hardware: dict[str, tuple[str | None, int | None]] = {}
    for stratum, run in zip(strata, runs, strict=True):
        device, ranks = hardware.get(stratum, (None, None))
        hardware[stratum] = run.device or device, run.ranks or ranks
    duplicates = [(run, cells[key]) for run, key in left_out]
    return Design(
        factor,
        natural_sort(set(levels)),
        natural_sort(set(strata)),
        cells,
        duplicates,
        differences,
        by_folder,
        hardware,
    )


def flatten(runs: Sequence[Run]) -> list[dict[str, str]]:
    """`flat` of each run's config, in which data are known by the checksum on record.

    The same data have one data.dir, wherever they were; where other data were in that folder, the checksum follows it.
    """
    flat_configs = [flat(run.config) for run in runs]
    checksums = [lookup(run.config, "run.data.checksum") for run in runs]
    recorded = [(c, str(x)) for c, x in zip(flat_configs, checksums, strict=True) if DATA_FOLDER in c and x is not None]
    folders: dict[str, str] = {}
    for config, checksum in recorded:
        folders[checksum] = min(config[DATA_FOLDER], folders.get(checksum, config[DATA_FOLDER]))
    contents = Counter(folders.values())
    for config, checksum in recorded:
        folder = folders[checksum]
        config[DATA_FOLDER] = folder if contents[folder] == 1 else json.dumps(f"{json.loads(folder)} ({checksum})")
    return flat_configs


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """The keys that affect a run's result: dotted, with values as JSON."""
    values: dict[str, str] = {}
    for name, value in config.items():
        key = f"{prefix}{name}"
        if key in IGNORED_IN_COMPARISON or key in HARDWARE_KEYS:
            continue
        if isinstance(value, Mapping) and value:
            values |= flat(value, f"{key}.")
        else:
            values[key] = json.dumps(value, ensure_ascii=False, default=str)
    return values


def varying_groups(runs: Sequence[Run], flat_configs: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    """What varies among the runs besides the seed: groups, experiments or single keys, each with its keys."""
    all_keys = sorted({key for config in flat_configs for key in config} - {"seed"})
    keys = [key for key in all_keys if len({config.get(key) for config in flat_configs}) > 1]
    groups: dict[str, list[str]] = {}
    for key in keys:
        top = key.partition(".")[0]
        choice_varies = len({str(choices(run).get(top)) for run in runs}) > 1
        groups.setdefault(top if choice_varies else key, []).append(key)
    experiments = [str(choices(run).get("experiment")) for run in runs]
    if len(set(experiments)) > 1:
        implied = [name for name, keys in groups.items() if determined_by(keys, experiments, flat_configs)]
        if implied:
            groups = {"experiment": [key for name in implied for key in groups.pop(name)], **groups}
    return groups


def determined_by(keys: Iterable[str], experiments: Sequence[str], flat_configs: Sequence[Mapping[str, str]]) -> bool:
    """Whether runs of the same experiment have the same values of the keys."""
    keys = list(keys)
    pairs = {(name, *(config.get(key) for key in keys)) for name, config in zip(experiments, flat_configs, strict=True)}
    return len(pairs) == len(set(experiments))


def without_keys(factor_keys: Sequence[str], groups: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """The groups without the factor's keys; a group that has some of them is split into its other keys."""
    rest: dict[str, list[str]] = {}
    for name, keys in groups.items():
        other_keys = [key for key in keys if key not in factor_keys]
        rest |= {name: keys} if other_keys == keys else {key: [key] for key in other_keys}
    return rest


def select_factor(
    factor: str | None,
    groups: Mapping[str, list[str]],
    runs: Sequence[Run],
    flat_configs: Sequence[Mapping[str, str]],
) -> str:
    """The requested factor, or the default one."""
    if factor is None:
        return next((name for name in (*FIRST, *groups) if name in groups), "loss")
    if factor == "seed":
        raise UserError("--factor seed cannot be: runs are paired by their seeds.")
    if factor in groups or keys_of(factor, flat_configs) or any(factor in choices(run) for run in runs):
        return factor
    known = {key for config in flat_configs for key in config} | set(choices(runs[0]))
    raise UserError(f"--factor {factor} is not in the runs' configs. {nearest(factor, known, groups)}")


def keys_of(factor: str, flat_configs: Sequence[Mapping[str, str]]) -> list[str]:
    """The keys of a factor, whether they vary or not."""
    keys = {key for config in flat_configs for key in config if key == factor or key.startswith(f"{factor}.")}
    return sorted(keys)


def environment_differences(runs: Sequence[Run]) -> list[str]:
    """Where the runs' environments differ, such as "versions.torch: 2.12.0 (3 runs), 2.13.0 (7 runs)"."""
    environments = [environment(run) for run in runs]
    texts = []
    for key in dict.fromkeys(key for values in environments for key in values):
        counts = Counter(short(values.get(key)) for values in environments)
        values_and_counts = [f"{value} ({n} run{'s' * (n > 1)})" for value, n in counts.items()]
        if len(counts) > 1:
            texts.append(f"{key}: {', '.join(values_and_counts)}")
    return texts


def environment(run: Run) -> dict[str, str]:
    """Versions, machine, commit and hardware settings of a run: dotted keys, with values as JSON."""
    known = {key: run.config["run"][key] for key in ENVIRONMENT_KEYS if run.config["run"].get(key) is not None}
    return flat(known) | hardware_settings(run)


def hardware_settings(run: Run) -> dict[str, str]:
    """The hardware settings of a run: dotted keys, with values as JSON."""
    values = {key: value for key in HARDWARE_KEYS if (value := lookup(run.config, key)) is not None}
    return {key: json.dumps(value, default=str) for key, value in values.items()}


def lookup(config: Any, key: str) -> Any:
    """The value at a dotted key; None if there is none."""
    for name in key.split("."):
        config = config.get(name) if isinstance(config, Mapping) else None
    return config
