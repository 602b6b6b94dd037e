"""What a reader should know about the runs of a comparison besides the numbers."""

from itertools import combinations

from ganduel.compare.device import hardware_notes
from ganduel.compare.labels import short
from ganduel.compare.pairing import Design, hardware_settings
from ganduel.compare.reading import Run


def notes(design: Design) -> list[str]:
    """One line each: other hardware, other environments, runs that are left out, levels without a partner."""
    lines = hardware_notes([*design.cells.values(), *(run for run, _ in design.duplicates)])
    lines += [f"the runs also differ in {text}" for text in design.environment_differences]
    lines += [duplicate_note(run, kept) for run, kept in design.duplicates]
    for stratum in design.strata:
        present = [level for level in design.levels if design.of(stratum, level)]
        where = f" at {stratum}" if stratum else ""
        for first, second in combinations(present, 2):
            if unpaired := design.unpaired(stratum, first, second):
                seeds = ", ".join(str(run.config["seed"]) for run in unpaired)
                which = f"seeds {seeds} have" if len(unpaired) > 1 else f"seed {seeds} has"
                verb = "are" if len(unpaired) > 1 else "is"
                lines.append(f"{first} and {second}{where}: {which} a run of one of them only, and {verb} not compared")
        if len(present) == 1 and len(design.levels) > 1:
            lines.append(
                f"{present[0]}{where} has nothing to be compared with: no other {design.factor} has a run there"
            )
    return lines


def duplicate_note(run: Run, kept: Run) -> str:
    """That a run is left out, since another has its config and seed; it repeats that one on the same hardware only."""
    settings, others = hardware_settings(run), hardware_settings(kept)
    changes = [
        f"{key}: {short(settings.get(key))}, not {short(others.get(key))}"
        for key in dict.fromkeys([*settings, *others])
        if settings.get(key) != others.get(key)
    ]
    one, two = (run.folder, kept.folder) if run.name == kept.name else (run.name, kept.name)
    if not changes:
        return f"{one} repeats {two}, and is left out"
    return f"{one} has the config and seed of {two}, but other hardware ({'; '.join(changes)}), and is left out"
