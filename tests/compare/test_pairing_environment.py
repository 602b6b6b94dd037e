"""What differs between runs beside their configs is named, and keeps nothing apart."""

from typing import Any

from factor_runs import a_run

from ganduel.compare.pairing import Design, arrange, environment_differences

# ---- what differs besides


def versions(torch: str) -> dict[str, Any]:
    return {"run__versions": {"python": "3.11.7", "torch": torch}}


def test_what_differs_besides_is_named_and_keeps_nothing_apart():
    runs = [
        a_run(seed=0, **versions("2.12.0")),
        a_run(seed=1, **versions("2.13.0")),
        a_run("x", 0, **versions("2.13.0")),
    ]
    design = arrange(runs)
    assert design.strata == [""]
    assert design.environment_differences == ["versions.torch: 2.12.0 (1 run), 2.13.0 (2 runs)"]


def test_devices_machines_and_commits_are_named():
    runs = [
        a_run(seed=0),
        a_run(
            seed=1, trainer__accelerator="gpu", trainer__devices=2, run__git="fedcba", run__machine={"cpu": "other"},
            engine="eager", trainer__replay=True,
        ),
    ]  # fmt: skip
    lines = environment_differences(runs)
    assert "trainer.accelerator: cpu (1 run), gpu (1 run)" in lines
    assert "trainer.devices: 1 (1 run), 2 (1 run)" in lines
    assert "git: 0123456789 (1 run), fedcba (1 run)" in lines
    assert "engine: auto (1 run), eager (1 run)" in lines
    assert "trainer.replay: absent (1 run), true (1 run)" in lines
    assert "machine.cpu: some (1 run), other (1 run)" in lines
    assert not [words for words in lines if words.startswith("trainer.num_nodes")]


def test_a_version_that_some_runs_lack():
    runs = [a_run(seed=0), a_run(seed=1, run__versions={"python": "3.11.7"})]
    assert environment_differences(runs) == ["versions.torch: 2.13.0 (1 run), absent (1 run)"]


def test_configs_without_a_trainer_or_choices():
    """As of a program that is older or newer."""
    runs = [a_run(seed=seed, trainer=None) for seed in (0, 1)]
    for run in runs:
        run.config["run"].pop("choices")
        run.config["run"].pop("git")
    design: Design = arrange(runs)
    assert (design.levels, design.environment_differences) == (["loss=Saturating"], [])
