"""What the page gets: measured values, few enough of them, as JSON, and nothing that should not leave the machine."""

import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from duels import NS, SAT
from golden import FD, FLOORS, RECALL, make_run, make_sweep, write_lines

from ganduel.compare.analysis import analyse
from ganduel.compare.bundle import bundle
from ganduel.compare.pairing import arrange
from ganduel.compare.reading import read_all


def of(*folders: Path, page: Path = Path("duel.html")) -> dict[str, Any]:
    """The bundle of the runs in folders, as the page reads it."""
    runs, aside = read_all(folders)
    page_data = bundle(analyse(arrange(runs)), aside, page)
    return json.loads(json.dumps(page_data, allow_nan=False))


# ---- the whole


def test_a_sweep_by_hand(tmp_path):
    page_data = of(make_sweep(tmp_path / "s", 3), page=tmp_path / "duel.html")
    assert page_data["title"] == "loss: nonsaturating against saturating, 6 runs"
    assert (page_data["factor"], page_data["levels"], page_data["metrics"]) == ("loss", [NS, SAT], [FD, RECALL])
    assert page_data["floors"] == {FD: FLOORS[FD], RECALL: FLOORS[RECALL]}
    assert [(g["stratum"], g["level"]) for g in page_data["groups"]] == [("", NS), ("", SAT)]
    assert [(r["name"], r["group"], r["level"], r["seed"]) for r in page_data["runs"]] == [
        (f"loss={loss},seed={seed}", n, loss, seed) for n, loss in enumerate((NS, SAT)) for seed in range(3)
    ]
    run = page_data["runs"][1]
    assert run["finals"] == {FD: 35.9, RECALL: 0.51}
    assert (run["status"], run["failure"], run["iteration"], run["seconds"]) == ("finished", None, 500, 10.0)
    assert run["href"] == "./s/loss%3Dnonsaturating%2Cseed%3D1/"
    assert run["differing"] == {"loss": "NonSaturating"}
    assert run["curves"]["iteration"] == [1, *range(50, 501, 50)]
    assert run["curves"]["d/fake"] == [0.41] * 11
    assert run["curves"][FD] == {"at": [500], "y": [35.9]}
    group = page_data["groups"][0]
    assert group["x"] == {
        "iteration": [1, *range(50, 501, 50)],
        "images_seen": [64, *range(3200, 32001, 3200)],
        "seconds": [0.02, *range(1, 11)],
    }
    assert group["curves"]["d/fake"]["mean"] == [0.41] * 11
    assert (group["curves"][FD]["at"], group["curves"][FD]["mean"]) == ([10], [pytest.approx(35.9, abs=0.01)])
    assert group["histograms"]["iteration"] == [1, *range(50, 501, 50)]
    assert [shares.index(1.0) for shares in group["histograms"]["d/fake"]] == [int(32 * 0.4)] * 11
    assert [f["name"] for f in page_data["loss_forms"]] == [NS, SAT]
    assert page_data["provenance"]["versions"] == [["python 3.11.7, torch 2.13.0", 6]]
    assert page_data["verdicts"][0].startswith("Over 3 paired seeds, nonsaturating ends at")
    assert page_data["left_out"] == []


def test_runs_of_all_fates_are_in_it(tmp_path):
    sweep = make_sweep(tmp_path / "s", 1)
    make_run(sweep / "going", seed=1, status=None)
    make_run(sweep / "bad", seed=2, status="diverged", reason="D's loss became nan")
    (sweep / "empty").mkdir()
    page_data = of(sweep)
    fates = {run["name"]: (run["status"], run["reason"], run["failure"]) for run in page_data["runs"]}
    assert fates["going"] == ("unfinished", None, None)
    assert fates["bad"] == ("diverged", "D's loss became nan", "diverged: D's loss became nan")
    assert [Path(entry["folder"]).name for entry in page_data["left_out"]] == ["empty"]


def test_a_run_of_bare_rows(tmp_path):
    """Nothing but iterations, and values that JSON has no number for."""
    folder = make_run(tmp_path / "a", rows=1, metrics={})
    for name in ("histograms.jsonl", "loss_form.json", "summary.json"):
        (folder / name).unlink()
    (folder / "samples").rename(folder / "elsewhere")
    (folder / "metrics.jsonl").write_text('{"iteration": 5, "a": NaN, "b": Infinity, "c": "x"}\n')
    page_data = of(folder)
    (group,), (run,) = page_data["groups"], page_data["runs"]
    assert group["x"] == {"iteration": [5], "images_seen": [None], "seconds": [None]}
    assert all(curve["at"] == [] for curve in group["curves"].values())
    assert run["curves"] == {"iteration": [5], "a": {"at": [], "y": []}, "b": {"at": [], "y": []}}
    assert (group["histograms"], page_data["loss_forms"], page_data["images"]) == ({}, [], [])


def test_texts_of_tables_are_those_of_the_sentences(tmp_path):
    """5 of 8 runs failed is 62%, by one rounding; p = 0.0625 is 0.062 in both."""
    sweep = make_sweep(tmp_path / "s", 5)
    for seed in range(5, 8):
        make_run(sweep / str(seed), SAT, seed, metrics={}, status="failed")
    page_data = of(sweep)
    d = page_data["differences"][0]
    assert f"nonsaturating minus saturating is {d['texts']['difference']}, p = {d['texts']['p']}, " in " ".join(
        page_data["verdicts"]
    )
    assert d["texts"]["p"] == "0.062"
    failures = page_data["cells"][1]["failures"]
    assert f"3 of 8 runs failed, {failures['text']}: " in page_data["verdicts"][0]
    assert failures["text"] == "38% [14%, 69%]"
    assert page_data["interval_note"].endswith("its coverage is at most 67%.")


def test_bands_stay_within_the_possible_values(tmp_path):
    """Accuracies and slopes end at 1, gradients at 0."""
    for seed in range(3):
        folder = make_run(tmp_path / str(seed), seed=seed)
        write_lines(
            folder / "metrics.jsonl",
            [
                {
                    "iteration": 1,
                    "d/accuracy_real": [1, 0.99, 0.4][seed],
                    "grad/norm_g": [0.1, 0, 9][seed],
                    "loss/g": -seed,
                }
            ],
        )
    curves = of(tmp_path)["groups"][0]["curves"]
    assert curves["d/accuracy_real"]["high"] == [1]
    assert curves["grad/norm_g"]["low"] == [0]
    assert curves["loss/g"]["low"][0] < -2


def test_strata_and_levels_have_groups_of_their_own(tmp_path):
    for k in (1, 5):
        for loss in (SAT, NS):
            make_run(tmp_path / f"{loss}{k}", loss, 0, k)
    page_data = of(tmp_path)
    assert [(g["stratum"], g["level"]) for g in page_data["groups"]] == [
        ("k=1", NS), ("k=1", SAT), ("k=5", NS), ("k=5", SAT),
    ]  # fmt: skip
    assert [run["group"] for run in page_data["runs"]] == [0, 1, 2, 3]
    assert page_data["runs"][2]["differing"] == {"k": "5", "loss": "NonSaturating"}


def test_losses_whose_logits_are_no_log_odds(tmp_path):
    """There is no D(x) of theirs: no curve, histogram or form over it, and everything else is there."""
    for loss, seed in product(("hinge", "wasserstein"), (0, 1)):
        make_run(tmp_path / f"{loss}{seed}", loss, seed, log_odds=False)
    page_data = of(tmp_path)
    for group in page_data["groups"]:
        assert group["histograms"].keys() == {"iteration", "logit/fake"}
        assert {"loss/d", "loss/g", "loss/penalty_d", "logit/real", "logit/fake"} <= group["curves"].keys()
        assert not [key for key in group["curves"] if key.startswith("d/")]
    assert [(form["name"], form["log_odds"]) for form in page_data["loss_forms"]] == [
        ("hinge", False),
        ("wasserstein", False),
    ]
    assert [run["failure"] for run in page_data["runs"]] == [None] * 4
    assert page_data["verdicts"][0].startswith("Over 2 paired seeds")


def test_old_and_new_runs_share_the_curve_of_the_penalty(tmp_path):
    for seed in (0, 1):
        make_run(tmp_path / str(seed), seed=seed)
    rows = tmp_path / "0" / "metrics.jsonl"
    rows.write_text(rows.read_text().replace("loss/penalty_d", "loss/penalty"))
    page_data = of(tmp_path)
    assert "loss/penalty" not in page_data["groups"][0]["curves"]
    assert len(page_data["groups"][0]["curves"]["loss/penalty_d"]["at"]) == 11
    assert all(run["curves"]["loss/penalty_d"] == [0.0] * 11 for run in page_data["runs"])


def test_config_diffs_of_named_and_single_penalties(tmp_path):
    """`penalty` itself where it is empty, `penalty._target_` in older runs: one column, with what each run has."""
    r1 = {"_target_": "ganduel.penalty.r1.R1", "gamma": 0.1}
    for name, penalty in {"a": {}, "b": {"r1": r1}, "c": r1}.items():
        make_run(tmp_path / name, penalty=penalty)
    diffs = {run["name"]: run["differing"] for run in of(tmp_path)["runs"]}
    assert diffs == {
        "a": {"penalty": "{}", "penalty.gamma": "absent", "penalty.r1": "absent", "penalty.r1.gamma": "absent"},
        "b": {"penalty": "absent", "penalty.gamma": "absent", "penalty.r1": "R1", "penalty.r1.gamma": "0.1"},
        "c": {"penalty": "R1", "penalty.gamma": "0.1", "penalty.r1": "absent", "penalty.r1.gamma": "absent"},
    }


# ---- nothing that should not be there


def test_secrets_do_not_reach_the_page(tmp_path):
    """In configs, whether they differ or not, in overrides, and in what differs besides."""
    for seed, word in ((0, "hunter2"), (1, "hunter3")):
        more = {"data": {"api_key": word, "root": "/data"}, "tracking": {"password": word}, "credentials": [word]}
        folder = make_run(tmp_path / str(seed), seed=seed, **more)
        text = (folder / "config.yaml").read_text()
        text = text.replace(f"- seed={seed}", f"- seed={seed}\n  - data.api_key={word}\n  - +secret={word}")
        (folder / "config.yaml").write_text(text)
    page_data = of(tmp_path)
    text = json.dumps(page_data)
    assert "hunter" not in text
    assert "data.api_key=(hidden)" in text
    assert [run["differing"] for run in page_data["runs"]] == [{}, {}], "nor is a key that hides the difference told"
