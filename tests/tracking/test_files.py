"""What is in a run's folder can be read, however it was left; what cannot be is said in one line."""

import json
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ganduel.errors import UserError
from ganduel.tracking.files import CONFIG, METRICS, finite_or_null, range_of, read_config, rows, to_json

ROWS = [{"iteration": n, "loss/d": 1.5 * n, "d/real": [n, 2]} for n in (1, 50, 100)]
WHOLE = "".join(json.dumps(row) + "\n" for row in ROWS)


def test_no_file_has_no_rows(tmp_path):
    assert rows(tmp_path / "none") == []


def test_rows_in_order(tmp_path):
    (tmp_path / METRICS).write_text(WHOLE)
    assert rows(tmp_path / METRICS) == ROWS


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, len(WHOLE)))
def test_of_a_file_cut_off_anywhere_all_whole_rows_are_read(tmp_path, size):
    """A row is whole when its brace is there; no other row is lost, and none is made up."""
    (tmp_path / METRICS).write_text(WHOLE[:size])
    assert rows(tmp_path / METRICS) == ROWS[: WHOLE[:size].count("}")]


@pytest.mark.parametrize(
    "line",
    [
        '{"iteration": 7, "loss',
        "\0" * 40,  # what a file system leaves of a block that was never written
        "",
        "7",
        "null",
        '[{"iteration": 7}]',
        '"iteration"',
        '{"iteration": ' + "7" * 5000 + "}",  # more digits than Python turns into a number
        "[" * 100_000,
        '{"iteration": 7, "\udcff": 1}',  # a byte that is not UTF-8
    ],
)
def test_a_line_that_is_no_row_is_passed_over(tmp_path, line):
    """Rows are objects: nothing else gets through, and those before and after it are there."""
    first, *rest = WHOLE.splitlines()
    (tmp_path / METRICS).write_text("\n".join([first, line, *rest]), errors="surrogateescape")
    assert rows(tmp_path / METRICS) == ROWS


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"holds no run: it has no config\.yaml"),
        (b"a: [1", r"config\.yaml cannot be read: "),
        (b"a: \x00", r"config\.yaml cannot be read: "),
        (b"\xff\xfe\xff", r"config\.yaml cannot be read: "),
        (b"a: !!python/object:os.system {}", r"config\.yaml cannot be read: "),
        (b"", r"config\.yaml is not the config of a run"),
        (b"- 1", r"config\.yaml is not the config of a run"),
        (b"seed: 3", r"config\.yaml is not the config of a run"),
    ],
)
def test_configs_that_are_none(tmp_path, content, message):
    if content is not None:
        (tmp_path / CONFIG).write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        read_config(tmp_path)
    assert "\n" not in str(error.value)


def test_a_folder_in_the_place_of_a_config(tmp_path):
    (tmp_path / CONFIG).mkdir()
    with pytest.raises(UserError, match=r"config\.yaml cannot be read: "):
        read_config(tmp_path)


def test_a_config_of_plain_values(tmp_path):
    text = "run: {id: a}\nseed: 0\nclip: {generator: null}\nlr: 1.0e-05\nnote: β₁ = 0.5\nbetas: [0.5, 1]\n"
    (tmp_path / CONFIG).write_text(text, encoding="utf-8")
    expected = {"seed": 0, "clip": {"generator": None}, "lr": 1e-5, "note": "β₁ = 0.5", "betas": [0.5, 1]}
    assert read_config(tmp_path) == {"run": {"id": "a"}, **expected}


def test_ranges_of_histograms():
    """Of D's probabilities and of its logits."""
    assert range_of("d/real") == range_of("d/fake") == (0.0, 1.0)
    assert range_of("logit/real") == range_of("logit/fake") == (-16.0, 16.0)


values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def refuse(name: str):
    raise AssertionError(f"{name} is no JSON")


@given(values)
def test_json_is_strict_and_keeps_all_else(value):
    """Python's own writer has NaN and Infinity, at which other readers stop."""
    plain = finite_or_null(value)
    assert json.loads(to_json(value), parse_constant=refuse) == plain
    assert finite_or_null(plain) == plain
    if value == value and not isinstance(value, float | list | dict):
        assert plain is value


def test_what_is_no_number_is_null_at_any_depth():
    assert json.loads(to_json({"a": math.nan, "b": [1.5, -math.inf, {"c": math.inf}]}, indent=2)) == {
        "a": None,
        "b": [1.5, None, {"c": None}],
    }


def test_what_json_does_not_know_is_text(tmp_path):
    assert json.loads(to_json({"path": tmp_path, "loss": math.nan})) == {"path": str(tmp_path), "loss": None}
