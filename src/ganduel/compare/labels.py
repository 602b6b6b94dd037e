"""Labels of levels and strata: the choice of a group, or the values of its keys, as short as they stay distinct."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ganduel.compare.reading import Run

Values = tuple[str | None, ...]


def choices(run: Run) -> Mapping[str, Any]:
    """What was chosen in each group of the config."""
    chosen = run.config["run"].get("choices")
    return chosen if isinstance(chosen, Mapping) else {}


def labels(
    group: str, keys: Sequence[str], runs: Sequence[Run], flat_configs: Sequence[Mapping[str, str]]
) -> list[str]:
    """A label for each run's value: the choice of a group, with the values that distinguish runs of one choice.

    Values are shortened unless two different ones would then have the same label.
    """
    has_choice = any(group in choices(run) for run in runs)
    names = [choice_name(choices(run).get(group, "absent")) if has_choice else "" for run in runs]
    values = [tuple(config.get(key) for key in keys) for config in flat_configs]
    texts: list[str] = []
    for form in (short, full):
        texts = make_labels(names, values, [key.removeprefix(f"{group}.") for key in keys], form)
        if len(set(texts)) == len(set(zip(names, values, strict=True))):
            break
    return texts


def choice_name(choice: Any) -> str:
    """A choice as typed on the command line: r1, or of a list [r1,r2]."""
    return f"[{','.join(map(str, choice))}]" if isinstance(choice, list) else str(choice)


def make_labels(
    names: Sequence[str], values: Sequence[Values], keys: Sequence[str], form: Callable[[str | None], str]
) -> list[str]:
    """The names, each with the values in which runs of that name differ; without names, the values."""
    texts = []
    for name, row in zip(names, values, strict=True):
        same_name = {other for other_name, other in zip(names, values, strict=True) if other_name == name}
        differing = [n for n in range(len(keys)) if not name or len({other[n] for other in same_name}) > 1]
        details = ", ".join(f"{keys[n]}={form(row[n])}" if name else form(row[n]) for n in differing)
        texts.append(f"{name} ({details})" if name and details else name or details)
    return texts


def distinguishing(names: Sequence[str]) -> list[str]:
    """Names of a sweep's runs, KEY=VALUE,KEY=VALUE,…, without the parts that all of them share; others as they are."""
    parts = [re.split(r",(?![^\[]*\])", name) for name in names]
    of_sweep = [set(some) for name, some in zip(names, parts, strict=True) if "=" in name]
    common = set.intersection(*of_sweep) if len(of_sweep) > 1 else set()
    return [
        ",".join(part for part in some if part not in common) or name for name, some in zip(names, parts, strict=True)
    ]


def short(value: str | None) -> str:
    """A value as one would type it; a class by its name."""
    text = full(value).strip('"')
    return text.rpartition(".")[2] if re.fullmatch(r"[A-Za-z_]\w*(\.\w+)+", text) else text


def full(value: str | None) -> str:
    """A value as JSON."""
    return "absent" if value is None else value


def natural_sort(names: Iterable[str]) -> list[str]:
    """Sorted, numbers by size; equal numbers, such as 1 and 1.0, by how they are written."""

    def key(name: str) -> tuple[list[tuple[int, float, str]], str]:
        parts = re.split(r"(\d+(?:\.\d+)?(?:e[-+]?\d+)?)", name)
        return [(1, 0.0, part) if n % 2 == 0 else (0, float(part), "") for n, part in enumerate(parts) if part], name

    return sorted(names, key=key)
