"""Any wrong command: exit code 1, one line that names the option, and no files left behind."""

import errno
import os
import shutil
import socket
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from PIL import Image

from ganduel.data import fashion_mnist
from ganduel.run import app
from ganduel.run.folder import Folder
from ganduel.tracking import run_logger

DIGITS = Path(run_logger.__file__).parents[1] / "data" / "assets" / "mnist"
TINY = {
    "tracking": "none",
    "trainer.max_steps": "2",
    "trainer.accelerator": "cpu",
    "batch_size": "8",
    "callback": "[statistics]",
    "model.generator.hidden": "[8]",
    "model.discriminator.hidden": "[8]",
}


def tiny(*words):
    """The arguments of a command, with defaults that make its run short."""
    return [*words, *(f"{key}={value}" for key, value in TINY.items() if not any(key in word for word in words))]


def entries(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def one_line(outcome):
    """The error line of a refused command."""
    assert outcome.code == 1, outcome
    assert outcome.err.startswith("error: "), outcome.err
    assert outcome.err.count("\n") == 1, outcome.err
    return outcome.err


CASES = [
    # unknown options
    ("losss=saturating", "losss is not an option. Did you mean loss?"),
    ("trainer.max_step=3", "trainer.max_step is not an option. Did you mean max_steps"),
    ("penalty.r1.gamma=3", "penalty.r1 is not an option. penalty=r1 has it: add penalty=r1."),
    ("penalty=r1 penalty.r1.gama=3", "penalty.r1.gama is not an option. Did you mean gamma?"),
    ("experiment=mnist_r1 penalty=[]", "penalty.r1 has options, but penalty does not have r1. Add it, as penalty=[r1]"),
    ("ema.foo=3", "ema.foo is not an option. There are: every_n_iterations, half_life_kimg, ramp."),
    ("x=1", "x is not an option. There are: augment, batch_size, "),
    ("+foo=3", "foo is not an option. There are: augment, batch_size, "),
    ("+model.generator.foo=3", "model.generator.foo is not known. There are: activation, hidden, "),
    ("hydra.foo=3", "hydra.foo is not an option"),
    # wrong types
    ("seed=abc", "seed=abc is not a whole number."),
    ("seed=", "seed= is not a whole number."),
    ("seed=null", "seed=null cannot be: seed needs a value."),
    ("k=1.5", "k=1.5 is not a whole number."),
    ("clip.generator=abc", "clip.generator=abc is not a number."),
    ("trainer.sync_batchnorm=maybe", "trainer.sync_batchnorm=maybe is not true or false."),
    ("engine=cuda_grap", "engine=cuda_grap is not known. Did you mean cuda_graph?"),
    ("engine=cuda_graph", "engine=cuda_graph needs a CUDA device, and this run is on cpu. Use engine=auto."),
    ("engine=null", "engine=null cannot be: engine needs a value."),
    ("engine=[eager]", "engine: Cannot convert 'list' to string: "),
    ("ema=3", "ema=3 cannot be: ema has options of its own"),
    ("model.generator.hidden=7", "model.generator.hidden=7 is not a list of whole numbers, such as [256,512]."),
    ("model.generator.activation=foo", "model.generator.activation='foo' is not one of leaky_relu, "),
    ("penalty=r1 penalty.r1.gamma=abc", "penalty.r1.gamma='abc' is not a number."),
    ("penalty=r1 penalty.r1.every=abc", "penalty.r1.every='abc' is not a whole number."),
    ("penalty=r1 penalty.r1.every=0.5", "penalty.r1.every=0.5 is not a whole number."),
    ("optimizer.generator.lr=abc", "optimizer.generator.lr='abc' is not a number."),
    ("optimizer.generator.lr=-1", "optimizer.generator: Invalid learning rate: -1."),
    # unknown choices
    ("loss=foo", "loss=foo is not a choice. There are: "),
    ("penalty=foo", "penalty=foo is not a choice. There are: clip_weights, "),
    ("penalty=[r1,foo]", "penalty=foo is not a choice. There are: clip_weights, "),
    ("penalty=[r1,r1]", "penalty=[r1,r1] names r1 twice."),
    ("callback=[statistics,theory,statistics]", "callback=[statistics,theory,statistics] names statistics twice."),
    ("penalty_g=r1", "penalty_g=r1 is not a choice. There are: path_length."),
    ("penalty_g=[r1]", "penalty_g=r1 is not a choice. There are: path_length."),
    ("penalty=null", "a group takes the name of a choice: one of penalty=null names none."),
    ("augment=foo", "augment=foo is not a choice. There are: ada, diffaugment, none."),
    (
        "callback=[foo]",
        "callback=foo is not a choice. "
        "There are: doctor, evaluate, sample_grid, saturation, statistics, theory, weights.",
    ),
    ("callback=[statistics,sample_gird]", "callback=sample_gird is not a choice. Did you mean sample_grid?"),
    ("experiment=foo", "experiment=foo is not a choice. "),
    ("tracking=foo", "tracking=foo is not a choice. There are: csv, none, tensorboard, trackio, wandb."),
    ("hydra/launcher=foo", "hydra/launcher=foo is not a choice. There are: basic"),
    ("loss=null", "a group takes the name of a choice: one of loss=null names none."),
    ("loss=[saturating,nonsaturating]", "loss takes one choice, as loss=NAME does."),
    ("~loss", "loss takes one choice, as loss=NAME does."),
    ("loss._target_=my.Loss", "loss._target_=my.Loss cannot be imported: Error loading 'my.Loss'"),
    # numbers that make no run
    ("k=-1", "k=-1 must be at least 1."),
    ("batch_size=0", "batch_size=0 must be at least 1."),
    ("pack=0", "pack=0 must be at least 1."),
    ("unroll=-1", "unroll=-1 must be at least 0."),
    ("unroll=0.5", "unroll=0.5 is not a whole number."),
    ("log_every=0", "log_every=0 must be at least 1."),
    ("checkpoint_every=-1", "checkpoint_every=-1 must be at least 1."),
    ("checkpoint_min_seconds=-1", "checkpoint_min_seconds=-1.0 must be at least 0."),
    ("trainer.max_steps=0", "trainer.max_steps=0 must be at least 1."),
    ("trainer.max_steps=null", "the run would never end: give trainer.max_steps or trainer.max_epochs."),
    ("model.generator.hidden=[8,0]", "model.generator.hidden=[8, 0]: a width of 0 leaves no layer."),
    ("model.discriminator.hidden=[-4]", "model.discriminator.hidden=[-4]: a width of -4 leaves no layer."),
    ("model.generator.noise_dim=0", "model.generator.noise_dim=0: noise needs at least one dimension."),
    ("ema.every_n_iterations=0", "ema.every_n_iterations=0 must be at least 1. Use ema=null for no average."),
    ("ema.half_life_kimg=-1", "ema.half_life_kimg=-1.0 must be positive. Use ema=null for no average."),
    ("clip.generator=0", "clip.generator=0.0 must be positive. Use clip.generator=null for no limit."),
    ("callback.statistics.every_n_iterations=0", "callback.statistics.every_n_iterations=0 must be at least 1."),
    ("penalty=r1 penalty.r1.every=0", "penalty.r1.every=0 must be at least 1."),
    ("data=images data.dir=. data.size=0", "data.size=0 must be at least 1: the height and width in pixels, such"),
    ("data=images data.dir=. data.channels=5", "data.channels=5 is not one of 1, 2, 3, 4."),
    ("data=images data.dir=. data.size=[8]", "data.size=[8] must be at least 1: the height and width in pixels, such"),
    ("data=images data.dir=. data.held_out=1", "data.held_out=1 must be a share of the images, at least 0 and less"),
    ("data=stacked_mnist trainer.max_epochs=1", "this data set never ends, so that trainer.max_epochs means nothing."),
    ("batch_size=100000", "batch_size=100000 is more than the 60000 samples of the data. Try 60000 or less."),
    ("batch_size=9 trainer.devices=2", "batch_size=9 cannot be shared by 2 ranks. Try a multiple of 2."),
    # parts that do not fit together
    ("penalty_g=[path_length] model.generator.norm=batch", "PathLength needs G's slope in each noise, and a BatchNorm"),
    ("penalty=[r1] model.discriminator.norm=batch", "R1 needs D's slope at each sample, and a BatchNorm in D mixes"),
    ("data=sprites condition=projection", "a condition needs classes. Which of the sprites': data.labels=shape (5) or"),
    # devices
    ("trainer.accelerator=foo", "trainer.accelerator=foo is not known. There are: auto, cpu, "),
    ("trainer.precision=foo", "trainer.precision=foo is not known. There are: 16-mixed, "),
    ("trainer.matmul_precision=hi", "trainer.matmul_precision=hi is not known. Did you mean high?"),
    ("trainer.devices=0", "trainer.devices=0 starts no process. Give a number, auto, or a list such as [0,1]."),
    ("trainer.devices=-5", "trainer.devices=-5 starts no process."),
    ("trainer.devices=foo", "trainer.devices=foo starts no process."),
    ("trainer.devices=[0,7]", "trainer.devices=[0, 7]: "),
    # files and folders; `file` is a file
    ("data.dir=nowhere", "data.dir=nowhere is not a folder. Leave it out to use the MNIST that is shipped."),
    ("data=fashion_mnist data.dir=nowhere", "data.dir=nowhere is not a folder. Leave it out to use the published F"),
    ("data=stacked_mnist data.dir=.", ". has neither train-images-idx3-ubyte nor train-images-idx3-ubyte.gz. Point"),
    ("data=images", "data=images needs a folder with images: type data.dir=FOLDER as well."),
    ("data=images data.dir=nowhere", "data.dir=nowhere is not a folder. Give the folder with the images."),
    ("data=images data.dir=file", "data.dir=file is not a folder. Give the folder with the images."),
    ("data=images data.dir=.", "data.dir=. holds no images: no file there ends in .png, .jpg, "),
    ("resume=nowhere", "resume=nowhere is not a folder. Give the folder of a run, such as runs/"),
    ("resume=.", "resume=. holds no run: it has no config.yaml. Give the folder of a run."),
    ("hydra.run.dir=file", "cannot be made: File exists: file. Choose another folder."),
    ("hydra.run.dir=file/x", "cannot be made: Not a directory: file/x. Choose another folder."),
    ("hydra.run.dir=/proc/x", "hydra.run.dir=/proc/x cannot be made: "),
    ("-m seed=1,2 hydra.sweep.dir=/proc/x", "hydra.sweep.dir=/proc/x cannot be made: "),
    ("--config-dir nowhere", "nowhere' not found"),
    # arguments that are not overrides
    ("model.generator.hidden=[", "model.generator.hidden=[ cannot be parsed: "),
    ("x", "x cannot be parsed: options are given as name=value. See --help."),
    ("~seed", "the config needs a value of seed, which it does not have."),
    ("seed=1,2", "seed=1,2 gives several values: add -m for a run with each, or write [1,2] for a list."),
    # sweeps of which not even the configs can be composed
    ("-m seed=1,a", "seed=a is not a whole number."),
    ("-m loss=saturating,foo", "loss=foo is not a choice."),
]


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize(("words", "message"), CASES, ids=[words for words, _ in CASES])
def test_a_command_that_is_refused(command, tmp_path, words, message):
    (tmp_path / "file").touch()
    outcome = command(*tiny(*words.split()))
    assert message in one_line(outcome)
    assert entries(tmp_path) == ["file"]


@pytest.mark.skipif(torch.accelerator.is_available(), reason="there is one")
def test_a_gpu_that_is_not_there(command, tmp_path):
    outcome = command(*tiny("trainer.accelerator=gpu"))
    assert "trainer.accelerator=gpu: torch finds none here. Try trainer.accelerator=cpu or auto." in one_line(outcome)
    assert entries(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "train-images"), (b"", "train-images"), (b"no gzip", "train-images"), (100_000, "train-images")],
    ids=["missing", "empty", "corrupt", "truncated"],
)
@pytest.mark.usefixtures("untyped")
def test_data_files(command, tmp_path, content, message):
    digits = tmp_path / "digits"
    shutil.copytree(DIGITS, digits)
    images = next(digits.glob("train-images*"))
    whole = images.read_bytes()
    images.unlink()
    if content is not None:
        images.write_bytes(whole[:content] if isinstance(content, int) else content)
    before = entries(tmp_path)
    assert message in one_line(command(*tiny(f"data.dir={digits}")))
    assert entries(tmp_path) == before


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no image", "none of the 1 images can be read: x.png"),
        ((20_000, 15_000), "x.png is too large: it has more than "),
    ],
    ids=["corrupt", "bomb"],
)
def test_image_files(command, tmp_path, content, message):
    path = tmp_path / "pictures" / "x.png"
    path.parent.mkdir()
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        Image.new("1", content).save(path)
    before = entries(tmp_path)
    assert message in one_line(command(*tiny("data=images", "data.dir=pictures")))
    assert entries(tmp_path) == before


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize("download", [True, False])
def test_clothes_that_are_not_there(command, tmp_path, monkeypatch, download):
    """Neither installed as a package nor downloaded before, and the server does not answer."""
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "debian")
    monkeypatch.setenv("GANDUEL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setattr(fashion_mnist, "ADDRESS", f"http://127.0.0.1:{closed.getsockname()[1]}")
        line = one_line(command(*tiny("data=fashion_mnist", f"data.download={download}")))
    assert "Give its folder as data.dir=, or install the Debian package dataset-fashion-mnist, or " in line
    assert ("Connection refused" if download else "data.download=true") in line
    assert [name for name in entries(tmp_path) if not name.startswith("cache")] == []


@pytest.mark.usefixtures("untyped")
def test_a_full_disk(command, tmp_path, monkeypatch):
    """While the run is set up; a disk that fills up later ends it with the same line, and its files stay."""
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / "config.yaml"))
    monkeypatch.setattr(run_logger, "write", Mock(side_effect=full))
    assert "No space left on device" in one_line(command(*tiny()))
    assert entries(tmp_path) == []


@pytest.mark.usefixtures("untyped")
def test_two_runs_of_the_same_second(command, tmp_path):
    """They have the same name with another number."""
    for _ in range(3):
        assert command(*tiny("trainer.max_steps=1", "hydra.run.dir=${run_dir:null,runs/now}")).code == 0
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["now", "now-2", "now-3"]


def test_a_folder_is_created_by_one_run_only(tmp_path):
    """Even if two have checked before either created it: mkdir decides, and only its creator may remove it."""
    folder = tmp_path / "runs" / "now"
    Folder.remember("hydra.run.dir", folder)
    assert Folder.create(folder)
    assert Folder.created[:2] == (folder, folder.parent)
    assert not Folder.create(folder)
    assert folder not in Folder.created


def test_flags_may_stand_anywhere():
    words = ["seed=1", "-m", "k=1,2", "--config-dir", "conf", "~ema", "+foo=2", "--cfg=job", "x"]
    assert app.flags_first(words) == [
        "-m",
        "--config-dir",
        "conf",
        "--cfg=job",
        "x",
        "seed=1",
        "k=1,2",
        "~ema",
        "+foo=2",
    ]
