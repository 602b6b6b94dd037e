"""The table of rows: whole after a resume, whatever columns came when."""

import csv
from types import SimpleNamespace

from ganduel.tracking.csv import CSV
from ganduel.tracking.files import METRICS
from ganduel.tracking.run_logger import append


def table(folder):
    with open(folder / "csv" / "metrics.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_each_row_is_in_the_file_as_it_comes(tmp_path):
    logger = CSV(tmp_path)
    logger.begin(0)
    logger.gan = SimpleNamespace(global_step=50, batches=SimpleNamespace(k=2, batch_size=8))
    logger.log_metrics({"loss/d": 1.5}, step=3)
    assert table(tmp_path) == [{"images_seen": "800", "loss/d": "1.5", "step": "50"}]
    logger.log_metrics({"fd": 20.0}, step=3)  # a column that the file has not yet
    assert [row["fd"] for row in table(tmp_path)] == ["", "20.0"]


def test_a_resumed_run_has_all_rows_of_its_record_once(tmp_path):
    first = CSV(tmp_path)
    first.begin(0)
    for n in (50, 100, 150):
        first.log_metrics({"loss/d": 1.5 * n}, step=n)
    for n in (50, 100):  # as the record is after it has gone back to the checkpoint of iteration 100
        append(tmp_path / METRICS, {"iteration": n, "loss/d": 1.5 * n})
    second = CSV(tmp_path)
    second.begin(100)
    second.log_metrics({"loss/d": 7.0}, step=150)
    assert [(row["step"], row["loss/d"]) for row in table(tmp_path)] == [
        ("50", "75.0"),
        ("100", "150.0"),
        ("150", "7.0"),
    ]
