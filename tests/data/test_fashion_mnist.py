"""Where the clothes are looked for, and that a download is kept whole or not at all. The server is on this machine."""

import gzip
import hashlib
import socket
import struct
import threading
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler

import pytest
import torch

from ganduel.data import download, fashion_mnist
from ganduel.data.fashion_mnist import DEBIAN, MD5, FashionMNIST
from ganduel.errors import UserError

TRAIN, TRAIN_LABELS, TEST, TEST_LABELS = MD5


def encode(array):
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.numpy().tobytes()


IMAGES = torch.arange(12, dtype=torch.uint8).reshape(3, 2, 2)
CONTENT = {
    TRAIN: encode(IMAGES),
    TRAIN_LABELS: encode(torch.tensor([7, 8, 9], dtype=torch.uint8)),
    TEST: encode(IMAGES[:2] + 100),
    TEST_LABELS: encode(torch.tensor([1, 2], dtype=torch.uint8)),
}


def fill(folder, names=tuple(CONTENT)):
    """Write files such as these, zipped, as the published ones are."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / f"{name}.gz").write_bytes(gzip.compress(CONTENT[name]))
    return folder


@pytest.fixture
def closed():
    """The address of a port where nobody listens."""
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{port.getsockname()[1]}"


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch, closed):
    """A machine without the package, a download or a network, on which the small files above are the published."""
    checksums = {name: hashlib.md5(content).hexdigest() for name, content in CONTENT.items()}
    for name, checksum in checksums.items():
        monkeypatch.setitem(MD5, name, checksum)
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "debian")
    monkeypatch.setattr(fashion_mnist, "ADDRESS", closed)
    monkeypatch.delenv("GANDUEL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    return tmp_path


@pytest.fixture
def cache(machine):
    return machine / "cache" / "ganduel" / "fashion_mnist"


@pytest.fixture
def server(machine, monkeypatch):
    """A server of the small files; its folder, and the paths that it has been asked for."""
    folder, asked = fill(machine / "served"), []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, format, *args):
            asked.append(self.path)

    with HTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder)) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setattr(fashion_mnist, "ADDRESS", f"http://127.0.0.1:{http.server_port}")
        yield folder, asked
        http.shutdown()
        thread.join()


def entries(folder):
    return sorted(path.name for path in folder.iterdir())


def check(data):
    """The data are those of the files above."""
    assert data.shape == (1, 2, 2)
    assert data.size == 3
    assert torch.equal(data.images("train+validation").squeeze(1), IMAGES)
    assert data.labels("train+validation").tolist() == [7, 8, 9]
    assert torch.equal(data.reference("test", 2).flatten(1).sort(0).values, IMAGES[:2].flatten(1) + 100)
    assert data.labels("test").tolist() == [1, 2]


def test_the_package_comes_first(machine, cache):
    """What is in the cache, here something else, is not looked at."""
    fill(machine / "debian")
    cache.mkdir(parents=True)
    for name in MD5:
        (cache / name).touch()
    check(FashionMNIST())


def test_a_package_without_some_file_does_not_count(machine, cache):
    fill(machine / "debian", [TRAIN, TRAIN_LABELS, TEST])
    fill(cache)
    assert FashionMNIST().folder == cache


def test_cache_where_the_variable_is_not_set(machine, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(machine))
    folder = fill(machine / ".cache" / "ganduel" / "fashion_mnist")
    assert FashionMNIST().folder == folder


def test_an_own_folder_comes_before_all(machine):
    """And has no checksum to match."""
    fill(machine / "debian")
    own = fill(machine / "own")
    (own / f"{TRAIN}.gz").write_bytes(gzip.compress(encode(IMAGES[:1])))
    assert FashionMNIST(dir=str(own)).size == 1


def test_files_are_read_once(machine, monkeypatch):
    """However often they are asked for."""
    fill(machine / "debian")
    data, read = FashionMNIST(), []
    monkeypatch.setattr(fashion_mnist.idx, "read", lambda *_: read.append(1) or IMAGES)
    for _ in range(3):
        data.images("train+validation")
        data.reference("test", 2)
    assert len(read) == 1


def test_download(cache, server):
    """Each file once; a second run asks for nothing."""
    _, asked = server
    check(FashionMNIST())
    assert asked == [f"/{name}.gz" for name in MD5]
    assert entries(cache) == sorted(f"{name}.gz" for name in MD5)
    check(FashionMNIST())
    assert len(asked) == 4


def test_only_what_is_missing_is_downloaded(cache, server):
    fill(cache, [TRAIN, TEST])
    FashionMNIST()
    assert server[1] == [f"/{TRAIN_LABELS}.gz", f"/{TEST_LABELS}.gz"]


def test_a_download_that_is_damaged(cache, server):
    """What came before it stays, of itself nothing."""
    folder, _ = server
    damaged = bytearray(CONTENT[TRAIN_LABELS])
    damaged[-1] ^= 1
    (folder / f"{TRAIN_LABELS}.gz").write_bytes(gzip.compress(damaged))
    with pytest.raises(UserError, match=rf"which failed: what http\S+/{TRAIN_LABELS}.gz sends is not the published"):
        FashionMNIST()
    assert entries(cache) == [f"{TRAIN}.gz"]
    fill(folder)
    check(FashionMNIST())


CUT_OFF = gzip.compress(CONTENT[TRAIN])[:-9]


@pytest.mark.parametrize("content", [b"", b"<html>sign in first</html>", CUT_OFF], ids=["empty", "a page", "cut off"])
def test_a_download_that_is_something_else(cache, server, content):
    (server[0] / f"{TRAIN}.gz").write_bytes(content)
    with pytest.raises(UserError, match=r"sends is not the published file\.$"):
        FashionMNIST()
    assert entries(cache) == []


def test_a_server_that_does_not_have_it(cache, server):
    (server[0] / f"{TRAIN}.gz").unlink()
    with pytest.raises(UserError, match=r"which failed: HTTP Error 404"):
        FashionMNIST()
    assert entries(cache) == []


def test_a_server_that_says_nothing(closed, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(fashion_mnist, "ADDRESS", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setattr(download, "TIMEOUT", 0.05)
        with pytest.raises(UserError, match=r"which failed: .*timed out"):
            FashionMNIST()


def test_a_server_that_hangs_up(monkeypatch):
    """No OSError, but an error of HTTP's."""

    def hang_up(*args, **kwargs):
        raise download.HTTPException("")

    monkeypatch.setattr(download, "urlopen", hang_up)
    with pytest.raises(UserError, match=r"which failed: HTTPException"):
        FashionMNIST()


def test_no_network(cache):
    """One line names every way."""
    with pytest.raises(UserError) as caught:
        FashionMNIST()
    line = str(caught.value)
    assert "\n" not in line
    for word in ("data.dir=", "Debian package dataset-fashion-mnist", str(cache), "] Connection refused."):
        assert word in line


def test_a_download_that_is_not_wanted(cache, server):
    with pytest.raises(UserError, match=r"install the Debian package.*or allow its download: data.download=true"):
        FashionMNIST(download=False)
    assert not cache.exists()
    assert server[1] == []


def test_a_cache_that_cannot_be_written(machine, server):
    (machine / "cache").touch()
    with pytest.raises(UserError, match=r"which failed: .*(Not a directory|File exists)"):
        FashionMNIST()
    assert server[1] == []


def test_a_file_of_the_cache_that_is_damaged(cache):
    fill(cache)
    (cache / f"{TRAIN}.gz").write_bytes(gzip.compress(encode(IMAGES + 1)))
    with pytest.raises(UserError, match=rf"{TRAIN}.gz is damaged: its checksum"):
        FashionMNIST()


def test_ranks_may_download_side_by_side(cache, server):
    """Each writes a file of its own and renames it; the last one stays, and all are whole."""
    found = []
    ranks = [threading.Thread(target=lambda: found.append(FashionMNIST())) for _ in range(4)]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join()
    assert len(found) == 4
    for data in found:
        check(data)
    assert entries(cache) == sorted(f"{name}.gz" for name in MD5)


def test_a_folder_that_is_none():
    with pytest.raises(UserError, match=r"data.dir=nowhere is not a folder. Leave it out to use the published Fashion"):
        FashionMNIST(dir="nowhere")


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="the package is not installed")
def test_the_published_files(monkeypatch):
    """6,000 and 1,000 of each of ten kinds; checksums are compared on the way."""
    monkeypatch.undo()
    data = FashionMNIST(download=False)
    assert data.folder == DEBIAN
    assert data.shape == (1, 28, 28)
    assert data.size == 60_000
    assert data.labels("train+validation").bincount().tolist() == [6000] * 10
    assert data.images("test").shape == (10_000, 1, 28, 28)
    assert data.labels("test").bincount().tolist() == [1000] * 10
