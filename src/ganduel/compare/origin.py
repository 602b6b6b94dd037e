"""Where the numbers of a comparison come from: versions, machines, commits, protocols, command lines."""

import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ganduel.compare.reading import Run


def provenance(runs: Sequence[Run]) -> dict[str, Any]:
    """Versions, machines, commits, protocols and command lines, each with the number of runs that share it."""

    def counted(value: Callable[[Run], Any]) -> list[list[Any]]:
        return [[text, n] for text, n in Counter(str(value(run)) for run in runs).items()]

    def as_text(run: Run, key: str) -> str:
        entry = run.config["run"].get(key)
        if not isinstance(entry, Mapping):
            return "not on record" if entry is None else str(entry)
        return ", ".join(f"{name} {value}" for name, value in entry.items() if value not in (None, []))

    hashes: dict[str, Counter[str]] = {}
    for run in runs:
        for metric, protocol in run.protocols.items():
            hashes.setdefault(metric, Counter())[str(protocol.get("hash"))] += 1
    return {
        "versions": counted(lambda run: as_text(run, "versions")),
        "machines": counted(lambda run: as_text(run, "machine")),
        "commits": counted(lambda run: as_text(run, "git")),
        "protocols": [[metric, [list(item) for item in counts.items()]] for metric, counts in hashes.items()],
        "commands": [command(run) for run in runs],
    }


def command(run: Run) -> str:
    """The command line that reproduces the run."""
    overrides = run.config["run"].get("overrides") or []
    return " ".join(["ganduel train", *(shlex.quote(str(override)) for override in overrides)])
