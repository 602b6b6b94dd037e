"""What TensorBoard reads back from a run's event files."""

import sys
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from wandb_double import CONFIG

from ganduel.errors import UserError
from ganduel.tracking.tensorboard import TensorBoard


def test_without_tensorboard_one_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(
        UserError, match=r"^tracking=tensorboard needs tensorboard: pip install 'ganduel\[tensorboard\]'"
    ):
        TensorBoard(tmp_path, CONFIG)


@pytest.fixture
def begun(tmp_path):
    """A function that makes a logger of the run and begins."""
    pytest.importorskip("tensorboard", reason="the extra tensorboard is not installed")

    def begin(iteration):
        logger = TensorBoard(tmp_path, CONFIG)
        logger.begin(iteration)
        return logger

    return begin


def events(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(folder / "tensorboard"), size_guidance={"images": 0, "histograms": 0})
    accumulator.Reload()
    return accumulator


def test_rows_histograms_pictures_and_the_config(begun, tmp_path):
    logger = begun(0)
    logger.log_metrics({"loss/d": 1.5, "d/real": float("nan")}, step=50)
    logger.log_histograms({"d/real": [0, 0, 6, 2]}, step=50)
    pixels = np.arange(24, dtype=np.uint8).reshape(4, 6)
    Image.fromarray(pixels).save(tmp_path / "grid.png")
    logger.log_picture("samples/fake", tmp_path / "grid.png", "a caption", step=50)
    logger.finish({})
    read = events(tmp_path)
    assert [(event.step, event.value) for event in read.Scalars("loss/d")] == [(50, 1.5)]
    assert np.isnan(read.Scalars("d/real")[0].value)
    histogram = read.Histograms("hist/d_real")[0].histogram_value
    assert (histogram.bucket_limit, histogram.bucket) == ([0.25, 0.5, 0.75, 1.0], [0.0, 0.0, 6.0, 2.0])
    assert (histogram.num, histogram.sum) == (8, 6 * 0.625 + 2 * 0.875)
    image = Image.open(BytesIO(read.Images("samples/fake")[0].encoded_image_string))
    assert (np.asarray(image)[..., 0] == pixels).all()
    config = read.Tensors("config/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "batch_size: 8" in config
    assert "abc" not in config  # a token of the data's


def test_on_resume_what_came_after_the_checkpoint_is_dropped(begun, tmp_path):
    for resumed_at, value, steps in ((0, 1.0, (50, 100, 150)), (100, 2.0, (150, 200))):
        logger = begun(resumed_at)
        for n in steps:
            logger.log_metrics({"loss/d": value}, step=n)
        logger.finish({})
    rows = [(event.step, event.value) for event in events(tmp_path).Scalars("loss/d")]
    assert rows == [(50, 1.0), (100, 1.0), (150, 2.0), (200, 2.0)]


def test_one_that_never_began_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("ganduel.tracking.tensorboard.find_spec", lambda name: name)
    TensorBoard(tmp_path, CONFIG).finish({})
    assert list(tmp_path.iterdir()) == []
