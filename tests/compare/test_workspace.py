"""The view in W&B as it would be saved, looked at without a network; and each way in which it is not saved."""

import os
import subprocess
import sys
from typing import Any

import pytest
from duels import NS, SAT, a_run, duel, report
from golden import FD, RECALL, make_sweep

from ganduel.compare.analysis import analyse
from ganduel.compare.pairing import arrange
from ganduel.compare.reading import read_all
from ganduel.compare.workspace import save_workspace, workspace
from ganduel.errors import UserError
from ganduel.tracking import wandb_session as session

PLACE = "me/ganduel"
# wandb-workspaces is of the time before pydantic 2; users do not see it, as Python shows such warnings to no one.
pytestmark = pytest.mark.filterwarnings("ignore:Pydantic V1 style:DeprecationWarning")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Of five seeds of both forms."""
    return workspace(analyse(arrange(read_all([make_sweep(tmp_path_factory.mktemp("runs") / "s")])[0])), PLACE)


def saved(made: Any) -> dict[str, Any]:
    """What W&B would be sent."""
    return made._to_model().model_dump(by_alias=True)["spec"]["section"]


def panels(made: Any) -> dict[str, list[dict[str, Any]]]:
    return {s["name"]: [p["config"] for p in s["panels"]] for s in saved(made)["panelBankConfig"]["sections"]}


def test_where_it_goes_and_what_it_is_called(built):
    assert (built.entity, built.project) == ("me", "ganduel")
    assert built.name == "loss: nonsaturating against saturating"


def test_sections_are_those_of_the_page(built):
    """Of what the runs have on record; a line for each key, a bar for each metric of samples."""
    sections = {name: [p.get("metrics") or p["mediaKeys"] for p in own] for name, own in panels(built).items()}
    assert sections == {
        "Sample metrics": [[f"summary_metrics.{FD}"], [f"summary_metrics.{RECALL}"]],
        "Losses": [["loss/d"], ["loss/g"]],
        "D(x) and D(G(z))": [["d/real"], ["d/fake"], ["d/fake_g"]],
        "Gradients": [["grad/norm_d"], ["grad/norm_g"]],
        "Saturation": [
            ["saturation/slope_saturating"], ["saturation/slope_nonsaturating"], ["saturation/ratio"],
        ],
        "Samples": [["samples/fake"]],
    }  # fmt: skip
    assert all(section["isOpen"] for section in saved(built)["panelBankConfig"]["sections"])


def test_each_form_is_one_line_with_its_spread(built):
    """W&B's path to the choice of the group: in the run's config under `run`."""
    lines = [p for name in ("Losses", "D(x) and D(G(z))", "Gradients", "Saturation") for p in panels(built)[name]]
    assert {(p["groupBy"], p["groupAgg"], p["groupArea"], p["aggregate"]) for p in lines} == {
        ("run.value.choices.loss", "mean", "stderr", True)
    }
    assert {p["xAxis"] for p in lines} == {"images_seen"}
    assert {p["groupBy"] for p in panels(built)["Sample metrics"]} == {"run.value.choices.loss"}
    (runs,) = saved(built)["runSets"]
    assert runs["grouping"] == [{"section": "config", "name": "run.value.choices.loss"}]


def test_only_these_runs_are_in_it(built):
    """By the ids that they have in W&B."""
    (runs,) = saved(built)["runSets"]
    (only,) = runs["filters"]["filters"]
    assert (only["key"], only["op"], only["disabled"]) == ({"section": "run", "name": "name"}, "IN", False)
    assert sorted(only["value"]) == sorted(f"{loss[:3]}1{seed}" for loss in (SAT, NS) for seed in range(5))


@pytest.mark.parametrize(
    ("factor", "path", "name"),
    [
        ("k", "k", "k: k 1 against k 2"),
        ("optimizer.generator.lr", "optimizer.value.generator.lr", "optimizer.generator.lr: lr 0.001"),
        ("penalty", "run.value.choices.penalty", "penalty: penalty []"),
    ],
)
def test_a_key_is_grouped_by_itself(factor, path, name):
    """W&B takes no "=" in a name."""
    view = workspace(report([a_run(SAT, 0, 1.0), a_run(SAT, 0, 1.0, k=2)], factor), PLACE)
    (bar,) = panels(view)["Sample metrics"]
    (grouping,) = saved(view)["runSets"][0]["grouping"]
    assert {bar["groupBy"], grouping["name"]} <= {path, f"{path}.value"}
    assert view.name == name


def test_any_level_has_a_name():
    """What W&B refuses in names becomes a space."""
    view = workspace(report([a_run("a+b 🙂 <$5>", 0, 1.0), a_run("γ = 2^3~`\ud800`", 0, 1.0)]), PLACE)
    assert "".join(view.name.split()) == "loss:ab5againstγ23"


def test_without_metrics_there_are_no_bars():
    assert list(panels(workspace(report([a_run(SAT), a_run(NS)]), PLACE))) == ["Losses", "Samples"]


def test_a_column_for_each_level_and_a_name_of_bounded_length():
    runs = [a_run(f"a_form_with_a_long_name_{n}", 0, 1.0) for n in range(9)]
    view = workspace(report(runs), PLACE)
    assert panels(view)["Samples"][0]["columnCount"] == 9
    assert len(view.name) == 128


@pytest.mark.parametrize("place", ["ganduel", "", "/", "me/", "/ganduel", "me/ganduel/x", "me//"])
def test_a_place_that_is_none(place):
    with pytest.raises(UserError) as error:
        save_workspace(report(duel({0: 1.0}, {0: 2.0})), place)
    assert str(error.value) == f"--wandb {place} is not ENTITY/PROJECT, such as --wandb me/ganduel."


@pytest.mark.parametrize("name", ["wandb_workspaces", "wandb_workspaces.workspaces"])
def test_without_the_package_one_line_says_how_to_get_it(monkeypatch, name):
    for module in [m for m in sys.modules if m.split(".")[0] == "wandb_workspaces"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError) as error:
        workspace(report(duel({0: 1.0}, {0: 2.0})), PLACE)
    assert str(error.value) == "--wandb needs wandb-workspaces: pip install 'ganduel[workspaces]'."


@pytest.fixture
def saving(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """W&B entered without its service, with a key, and what is saved there."""
    from wandb_workspaces.workspaces import Workspace

    done: list[str] = []
    monkeypatch.setattr(session, "resolve_mode", lambda wandb: ("online", "a test"))
    monkeypatch.setattr(session, "has_key", lambda wandb: True)
    monkeypatch.setattr(Workspace, "save", lambda self: done.append(self.name))
    monkeypatch.setattr(Workspace, "url", property(lambda self: f"https://wandb.ai/{self.entity}/{self.project}?nw=x"))
    return done


def test_saving_returns_the_address(saving):
    assert save_workspace(report(duel({0: 1.0}, {0: 2.0})), PLACE) == "https://wandb.ai/me/ganduel?nw=x"
    assert saving == ["loss: nonsaturating against saturating"]


def test_without_a_key_nothing_is_sent(saving, monkeypatch):
    monkeypatch.setattr(session, "has_key", lambda wandb: False)
    with pytest.raises(UserError) as error:
        save_workspace(report(duel({0: 1.0}, {0: 2.0})), PLACE)
    assert str(error.value) == "--wandb needs an API key, and there is none. wandb login takes one."
    assert saving == []


def test_what_wandb_refuses_is_one_line(saving, monkeypatch):
    from wandb_workspaces.workspaces import Workspace

    def refuse(self: Any) -> None:
        raise RuntimeError("permission denied\n  for entity me\n" + "x" * 900)

    monkeypatch.setattr(Workspace, "save", refuse)
    with pytest.raises(UserError) as error:
        save_workspace(report(duel({0: 1.0}, {0: 2.0})), PLACE)
    text = str(error.value)
    assert text.startswith("W&B rejected the workspace: permission denied for entity me xxx")
    assert "\n" not in text
    assert len(text) < 300


@pytest.mark.slow
def test_the_program_without_a_key_says_one_line(tmp_path):
    """W&B's own library, with nothing of this machine's: no question, no trace."""
    make_sweep(tmp_path / "s", 1)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_") and name != "NETRC"}
    program = "import sys; from ganduel.cli import main; main(sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", program, "compare", str(tmp_path / "s"), "--wandb", PLACE],
        env={**kept, "HOME": str(tmp_path)}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: --wandb needs an API key, and there is none. wandb login takes one.\n"
