"""A search from the command line to the best trial; what it is told, and what it does when it is run again."""

import json
import sys
from types import SimpleNamespace

import pytest
from conftest import TINY
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus

from ganduel.errors import UserError
from ganduel.metric.frechet import FrechetDistance
from ganduel.run import search, train

SMALL = (*TINY, "data=ring8", "model.generator.hidden=[4]", "model.discriminator.hidden=[4]", "log_every=1")
SEARCH = ("-m", "hydra/sweeper=search", "hydra.sweep.dir=s", "objective=loss/d", "hydra.sweeper.direction=minimize")
RATES = "optimizer.generator.lr=tag(log,interval(1e-4,1e-2))"


@pytest.fixture
def optuna():
    return pytest.importorskip("optuna", reason="the extra search is not installed")


@pytest.fixture
def runs(tmp_path):
    """A function from the folder to the statuses of its runs, by name."""
    return lambda: {p.parent.name: json.loads(p.read_text())["status"] for p in tmp_path.glob("s/*/summary.json")}


def test_a_search_and_the_same_again(command, runs, tmp_path, optuna):
    """The second has one trial more, and none of the first's values."""
    first = command(*SEARCH, *SMALL, RATES, "k=choice(1,2)", "hydra.sweeper.n_trials=2")
    assert first.code == 0, first.err
    assert "sweep s: 2 of 2 runs finished" in first.err
    weights = {path: path.stat().st_mtime_ns for path in tmp_path.glob("s/*/checkpoints/last.ckpt")}
    second = command(*SEARCH, *SMALL, RATES, "k=choice(1,2)", "hydra.sweeper.n_trials=3")
    assert second.code == 0, second.err
    assert list(runs().values()) == ["finished"] * 3
    assert {path: path.stat().st_mtime_ns for path in weights} == weights
    values = {p.parent.name: json.loads(p.read_text())["metrics"]["loss/d"] for p in tmp_path.glob("s/*/summary.json")}
    best = min(values, key=lambda name: values[name])
    *_, line, typed = second.out.strip().splitlines()
    assert line.startswith(f"best of 3 trials: loss/d = {values[best]:.6g}, number ")
    assert typed.strip().startswith("python train.py objective=loss/d tracking=none ")
    assert typed.endswith(best.replace(",", " "))
    assert command(*SEARCH, *SMALL, RATES, "k=1,2,3").err.count("s holds a search of other space. Give this one") == 1


def test_a_trial_that_was_cut_off_is_resumed(command, runs, monkeypatch, optuna):
    """As by a signal or a kill in its run."""
    fit = train.fit
    monkeypatch.setattr(train, "fit", lambda *_: sys.exit(143))
    assert command(*SEARCH, *SMALL, RATES, "hydra.sweeper.n_trials=1").code == 143
    (cut_off,) = study(optuna).trials
    assert not cut_off.state.is_finished()
    monkeypatch.setattr(train, "fit", fit)
    assert command(*SEARCH, *SMALL, RATES, "hydra.sweeper.n_trials=1").code == 0
    assert [trial.params for trial in study(optuna).trials] == [cut_off.params]
    assert list(runs()) == [f"optimizer.generator.lr={cut_off.params['optimizer.generator.lr']}"]


def study(optuna):
    return optuna.load_study(study_name="search", storage=search.open_storage(search.Path("s")))


def test_a_run_that_is_pruned_has_a_checkpoint_to_go_on_from(command, runs, tmp_path, optuna):
    """Every value is too much for this pruner: the run stops after its first iteration, which is no failure."""
    pruner = "hydra.sweeper.pruner={_target_: optuna.pruners.ThresholdPruner, upper: 0}"
    outcome = command(*SEARCH, *SMALL, RATES, "hydra.sweeper.n_trials=1", pruner)
    assert "sweep s: 0 of 1 runs finished, 1 pruned\n" in outcome.err
    assert (outcome.code, outcome.err.splitlines()[-1]) == (1, "error: none of the 1 trials has finished.")
    ((name, status),) = runs().items()
    summary = json.loads((tmp_path / "s" / name / "summary.json").read_text())
    assert (status, summary["iteration"]) == ("pruned", 1)
    assert summary["reason"] == f"loss/d = {summary['metrics']['loss/d']:.4g}"
    (trial,) = study(optuna).trials
    assert (trial.state.name, list(trial.intermediate_values)) == ("PRUNED", [1])
    resumed = command(f"resume=s/{name}")
    assert resumed.code == 0, resumed.err
    assert runs() == {name: "finished"}


def test_a_search_in_a_file_whose_first_trial_fails_ends(command, tmp_path, optuna):
    """The next would fail by the same mistake. Its choices are those of the file, but for what is typed."""
    path = tmp_path / "conf" / "experiment" / "widths.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(
        "# @package _global_\ndefaults:\n  - override /hydra/sweeper: search\nobjective: kd\n"
        "hydra: {sweeper: {params: {batch_size: 'choice(8,16)', k: 'choice(1,2)'}}}\n"
    )
    words = [word for word in SMALL if not word.startswith("batch_size")]
    outcome = command("-m", "--config-dir=conf", "hydra.sweep.dir=s", "experiment=widths", *words, "k=1")
    assert outcome.code == 1
    assert "objective=kd is not a metric of the run." in outcome.err
    (trial,) = study(optuna).trials
    assert (trial.state.name, study(optuna).direction.name) == ("FAIL", "MINIMIZE")
    assert list(trial.params) == ["batch_size"]
    assert trial.params["batch_size"] in ("8", "16")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["k=1,2"], "a search needs the metric that decides: objective=fd for instance"),
        (["objective=fd"], "a search needs options to vary"),
        (
            ["objective=loss/d", "k=1,2"],
            "objective=loss/d does not say where it is better: add hydra.sweeper.direction=mi",
        ),
        (
            ["objective=fd", "k=1,2", "hydra.sweeper.direction=up"],
            "hydra.sweeper.direction=up is not one of minimize and",
        ),
        (["objective=fd", "k=1,2", "hydra.sweeper.n_trials=0"], "hydra.sweeper.n_trials=0 must be at least 1."),
    ],
)
def test_a_search_that_is_refused(command, tmp_path, optuna, words, message):
    outcome = command("-m", "hydra/sweeper=search", *SMALL, *words)
    assert (outcome.code, outcome.err.count("\n")) == (1, 1)
    assert message in outcome.err
    assert not list(tmp_path.glob("multirun/*/*/*/"))


def test_a_study_whose_last_line_is_cut_off_goes_on(optuna, tmp_path):
    """As by a full disk: Optuna wrote the next line behind the half one, and could read the file no more."""
    search.open_storage(tmp_path).create_new_study([optuna.study.StudyDirection.MINIMIZE], search.NAME)
    whole = (tmp_path / search.JOURNAL).read_bytes()
    (tmp_path / search.JOURNAL).write_bytes(whole + b'{"op_code": 4, "wor')
    search.drop_half_line(tmp_path / search.JOURNAL)
    assert (tmp_path / search.JOURNAL).read_bytes() == whole
    search.drop_half_line(tmp_path / search.JOURNAL)
    assert [study.study_name for study in search.open_storage(tmp_path).get_all_studies()] == [search.NAME]


@pytest.mark.parametrize("content", [b"garbage\n" * 2, b'{"a": 1}\n', b"[]\n", b"\xb8\xff\n" * 2])
def test_a_file_that_is_no_study_is_named(optuna, tmp_path, content):
    (tmp_path / search.JOURNAL).write_bytes(content)
    with pytest.raises(UserError, match=r"search\.journal is no whole study of Optuna's: .*hydra\.sweep\.dir=FOLDER"):
        search.open_storage(tmp_path)


def test_without_optuna_one_line_says_what_to_install(command, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    outcome = command("-m", "hydra/sweeper=search", *SMALL, "objective=fd", "k=1,2")
    assert outcome.err == "error: hydra/sweeper=search needs Optuna: pip install 'ganduel[search]'.\n"


@pytest.mark.parametrize(
    ("word", "distribution"),
    [
        ("k=1,2", "CategoricalDistribution(choices=('1', '2'))"),
        ("loss=choice(hinge,saturating)", "CategoricalDistribution(choices=('hinge', 'saturating'))"),
        ("x=interval(0,1.5)", "FloatDistribution(high=1.5, log=False, low=0.0, step=None)"),
        ("x=tag(log,interval(1e-4,1e-2))", "FloatDistribution(high=0.01, log=True, low=0.0001, step=None)"),
        ("x=int(interval(2,9))", "IntDistribution(high=9, log=False, low=2, step=1)"),
        ("x=tag(log,int(interval(2,9)))", "IntDistribution(high=9, log=True, low=2, step=1)"),
        ("x=range(1,8,2)", "IntDistribution(high=7, log=False, low=1, step=2)"),
        ("x=range(0,0.5,0.25)", "FloatDistribution(high=0.25, log=False, low=0.0, step=0.25)"),
    ],
)
def test_what_is_typed_is_what_is_searched(optuna, word, distribution):
    (override,) = OverridesParser.create().parse_overrides([word])
    assert repr(search.distribution(override)) == distribution


class Share(FrechetDistance):
    """A user's metric."""

    quantities = {"share": True}  # noqa: RUF012


@pytest.mark.parametrize(
    ("objective", "direction"), [("fd", "minimize"), ("modes", "maximize"), ("share/x", "maximize")]
)
def test_the_metric_says_where_it_is_better(objective, direction):
    assert search.direction_of(objective, {"share": {"_target_": f"{__name__}.Share"}}) == direction


@pytest.mark.parametrize(
    ("status", "completed", "value", "told"),
    [
        ("finished", True, 2.5, (2.5, "COMPLETE")),
        ("finished", True, float("nan"), (None, "FAIL")),
        ("finished", False, None, (None, "FAIL")),
        ("failed", False, None, (None, "FAIL")),
        ("diverged", False, None, (None, "PRUNED")),
        ("pruned", True, 2.5, (None, "PRUNED")),
    ],
)
def test_what_the_study_is_told(optuna, status, completed, value, told):
    result = JobReturn(status=JobStatus.COMPLETED if completed else JobStatus.FAILED)
    result.return_value = value if completed else ValueError("no")
    value, state = search.outcome_of(status, result)
    assert (value, state.name) == told


def test_a_job_of_no_search_has_no_trial(monkeypatch):
    monkeypatch.setattr(search.HydraConfig, "get", lambda: search.OmegaConf.create({"sweeper": {"max_batch_size": 1}}))
    assert search.current_trial() is None


def test_it_is_not_searched_by_two_at_once(command, tmp_path, optuna):
    from ganduel.run.lock import folder_lock

    with folder_lock(tmp_path / "s"):
        assert "another process is training in s." in command(*SEARCH, *SMALL, RATES).err


def test_the_trials_that_are_cut_off_come_first(optuna):
    """In batches of n_jobs; then new ones, up to n_trials in all."""
    trials = [
        SimpleNamespace(number=n, params={"k": n}, state=SimpleNamespace(is_finished=lambda n=n: n == 1))
        for n in range(4)
    ]

    class Study:
        trials: list

        def ask(self, space):
            self.trials.append(SimpleNamespace(number=len(self.trials), params={"k": 9}))
            return self.trials[-1]

    study = Study()
    study.trials = trials
    sweeper = search.Search.__new__(type("Whole", (search.Search,), {}))
    sweeper.n_trials, sweeper.n_jobs = 5, 2
    assert list(sweeper.next_trials(study, {})) == [0, 2]
    for trial in trials[:3]:
        trial.state = SimpleNamespace(is_finished=lambda: True)
    assert list(sweeper.next_trials(study, {})) == [3, 4]


def test_a_refusal_names_what_differs(optuna):
    with pytest.raises(UserError, match="at least 1"):
        search.check_search("fd", 1, 0, {"k": None})
