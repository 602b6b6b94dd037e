"""Runs that differ in their seed alone share a group, all others do not."""

from ganduel.tracking.run_name import LENGTH, all_tags, group_name


def config(*overrides, seed=0, k=1, **choices):
    names = {"loss": "nonsaturating", "penalty": "none", "model": "mlp", "data": "mnist", **choices}
    return {"seed": seed, "k": k, "run": {"choices": {**names, "optimizer": "adam"}, "overrides": list(overrides)}}


def test_a_group_is_named_by_what_is_compared():
    assert group_name(config()) == "nonsaturating-mlp-mnist"
    assert group_name(config(loss="hinge", penalty="r1", k=2)) == "hinge-r1-mlp-mnist-k2"
    assert (
        group_name(config(penalty="r1+r2", penalty_g="path", augment="ada")) == "nonsaturating-r1+r2-path-ada-mlp-mnist"
    )


def test_seeds_share_a_group():
    assert group_name(config("seed=1", seed=1)) == group_name(config("seed=2", seed=2)) == group_name(config())


def test_what_changes_the_numbers_names_another_group():
    """Else the dashboard would average over two experiments."""
    plain = group_name(config())
    for override in ("batch_size=64", "optimizer=sgd", "optimizer.generator.lr=0.1", "penalty.gamma=1", "ema=null"):
        assert group_name(config(override)) == f"{plain}-{override}"
    assert group_name(config("a=1", "b=2")) == group_name(config("b=2", "a=1"))
    assert group_name(config("+experiment=a/b")) == f"{plain}-experiment=a_b"


def test_where_and_how_long_it_runs_and_who_watches_does_not():
    told = ["trainer.max_steps=10", "tracking.tags=[a]", "log_every=5", "callback=statistics", "hydra.run.dir=x"]
    assert group_name(config(*told, "loss=nonsaturating", "k=1")) == group_name(config())


def test_a_long_group_is_cut_and_still_its_own():
    first, second = (group_name(config(f"data.dir={'x' * 300}{n}")) for n in (1, 2))
    assert len(first) == len(second) == LENGTH
    assert first != second


def test_tags_are_the_words_of_the_run_and_the_users():
    assert all_tags(config(seed=3), ["mine", "mlp"]) == ["nonsaturating", "mlp", "mnist", "seed3", "mine"]
    assert all_tags(config(penalty="r1", k=5), ["t" * 99])[-3:] == ["k5", "seed0", "t" * 64]
    assert "r1" in all_tags(config(penalty="r1"), [])


def test_a_group_has_no_secrets():
    assert group_name(config("data.token=abc")) == "nonsaturating-mlp-mnist-data.token=(hidden)"
