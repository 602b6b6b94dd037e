"""condition=none trains without the labels that data could show, and refuses nothing that networks do themselves."""

from ganduel.factory.data import build_data
from ganduel.factory.networks import build_condition, build_networks


def test_labels_are_not_shown(tiny):
    config = tiny("data=ring8")
    assert not build_condition(config).takes_labels
    assert build_data(config).classes is None
    g, d = build_networks(config, (2,))
    assert (g.classes, d.classes) == (None, None)


def test_a_config_of_an_older_version_has_no_condition(tiny):
    config = tiny("data=ring8")
    del config["condition"]
    assert not build_condition(config).takes_labels
