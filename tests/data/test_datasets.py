"""MNIST and Fashion-MNIST: where the files come from, what is checked, what a sample is.

All on small files that the tests write, but for those marked ``data``, which read the real files
from the folder that TINYGRAD_LITE_DATA names.
"""

import gzip
import hashlib
import os
import struct
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

import tinygrad_lite as tl
from tinygrad_lite.datasets import MNIST, FashionMNIST, IdxImages

IMAGES = np.arange(4 * 2 * 3, dtype=np.uint8).reshape(4, 2, 3) * 11
LABELS = np.array([2, 0, 1, 2], dtype=np.uint8)


def idx_bytes(array):
    """uint8 as IDX."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


CONTENT = {
    "train-images-idx3-ubyte": idx_bytes(IMAGES),
    "train-labels-idx1-ubyte": idx_bytes(LABELS),
    "t10k-images-idx3-ubyte": idx_bytes(255 - IMAGES[:2]),
    "t10k-labels-idx1-ubyte": idx_bytes(LABELS[:2]),
}


class Tiny(IdxImages):
    subfolder = "tiny"
    url = "http://127.0.0.1:9/"
    checksums = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}  # noqa: RUF012
    classes = ("shoe", "shirt", "bag")


@pytest.fixture(autouse=True)
def no_folder_named(request, monkeypatch):
    if request.node.get_closest_marker("data") is None:
        monkeypatch.delenv("TINYGRAD_LITE_DATA", raising=False)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The folder where pooch keeps what it downloads, empty at first."""
    pooch = pytest.importorskip("pooch")
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "cache" / "tinygrad_lite" / "tiny"


def write_files(folder, content=CONTENT, packed=True):
    folder.mkdir(parents=True, exist_ok=True)
    for name, raw in content.items():
        (folder / (f"{name}.gz" if packed else name)).write_bytes(gzip.compress(raw) if packed else raw)
    return folder


# ---- what a data set gives


@pytest.fixture
def tiny(tmp_path):
    return Tiny(write_files(tmp_path))


def test_data_and_targets(tiny):
    assert tiny.data.dtype == tl.uint8
    assert tiny.targets.dtype == tl.int64
    assert np.array_equal(tiny.data.numpy(), IMAGES)
    assert tiny.targets.tolist() == LABELS.tolist()
    assert len(tiny) == 4
    assert repr(tiny) == "Tiny(train, 4 images of 2x3)"


def test_the_part_for_the_test(tmp_path):
    test = Tiny(write_files(tmp_path), train=False)
    assert np.array_equal(test.data.numpy(), 255 - IMAGES[:2])
    assert test.targets.tolist() == [2, 0]
    assert repr(test) == "Tiny(test, 2 images of 2x3)"


@pytest.mark.parametrize("index", [0, 3, -1])
def test_a_sample(tiny, index):
    image, target = tiny[index]
    assert (image.shape, image.dtype) == ((1, 2, 3), tl.float32)
    assert np.array_equal(image.numpy(), (IMAGES[index] / np.float32(255))[None])
    assert type(target) is int
    assert target == LABELS[index]


def test_a_sample_that_is_not_there(tiny):
    with pytest.raises(IndexError, match="4"):
        tiny[4]
    assert len(list(tiny)) == 4


def test_a_sample_shares_no_memory_with_the_set(tiny):
    tiny[1][0].numpy()[...] = 9
    assert np.array_equal(tiny.data.numpy(), IMAGES)


def test_transforms(tmp_path):
    tiny = Tiny(write_files(tmp_path), transform=lambda image: image.shape, target_transform=Tiny.classes.__getitem__)
    assert tiny[0] == ((1, 2, 3), "bag")


@pytest.mark.parametrize(("flatten", "shape"), [(False, (4, 1, 2, 3)), (True, (4, 6))])
def test_tensors(tiny, flatten, shape):
    images, targets = tiny.tensors(flatten=flatten)
    assert (images.shape, images.dtype, targets.dtype) == (shape, tl.float32, tl.int64)
    assert np.array_equal(images.numpy(), (IMAGES / np.float32(255)).reshape(shape))
    assert targets.tolist() == LABELS.tolist()
    targets.numpy()[...] = 0
    assert tiny.targets.tolist() == LABELS.tolist()


def test_pixels_are_bitwise_those_of_pytorch(tmp_path):
    torch = pytest.importorskip("torch")
    every_byte = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    content = {"train-images-idx3-ubyte": idx_bytes(every_byte), "train-labels-idx1-ubyte": idx_bytes(LABELS[:1])}

    class AllBytes(Tiny):
        checksums = {name: hashlib.sha256(raw).hexdigest() for name, raw in content.items()}  # noqa: RUF012

    dataset = AllBytes(write_files(tmp_path, content))
    expected = torch.from_numpy(every_byte).to(torch.float32).div(255).numpy()
    assert np.array_equal(dataset[0][0].numpy(), expected)
    assert np.array_equal(dataset.tensors()[0].numpy(), expected[None])


# ---- the folder


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("subfolder", ["tiny", "."])
def test_layouts_of_the_folder(tmp_path, packed, subfolder):
    write_files(tmp_path / subfolder, packed=packed)
    assert Tiny(tmp_path).targets.tolist() == LABELS.tolist()
    assert Tiny(str(tmp_path), train=False).targets.tolist() == [2, 0]


def test_the_environment_names_the_folder_and_root_comes_first(tmp_path, monkeypatch):
    write_files(tmp_path / "here")
    monkeypatch.setenv("TINYGRAD_LITE_DATA", str(tmp_path / "here"))
    assert len(Tiny()) == 4
    with pytest.raises(FileNotFoundError):
        Tiny(tmp_path / "there")


@pytest.mark.parametrize("exists", [False, True])
def test_an_unknown_folder_lists_what_was_looked_for(tmp_path, exists):
    folder = tmp_path / "data"
    if exists:
        folder.mkdir()
    with pytest.raises(FileNotFoundError) as error:
        Tiny(folder)
    message = str(error.value)
    for place in ("tiny/train-images-idx3-ubyte", "train-images-idx3-ubyte"):
        assert str(folder / place) + "," in message
        assert str(folder / f"{place}.gz") in message
    assert ("does not exist" in message) is not exists
    assert "root=" in message
    assert "TINYGRAD_LITE_DATA" in message


def test_a_file_that_is_missing_beside_the_other(tmp_path):
    (write_files(tmp_path) / "train-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(FileNotFoundError, match="no file train-labels-idx1-ubyte of tiny"):
        Tiny(tmp_path)


@pytest.mark.parametrize("packed", [False, True])
def test_a_checksum_that_differs(tmp_path, packed):
    changed = CONTENT | {"train-labels-idx1-ubyte": idx_bytes(LABELS[::-1])}
    write_files(tmp_path, changed, packed)
    found = hashlib.sha256(changed["train-labels-idx1-ubyte"]).hexdigest()
    expected = Tiny.checksums["train-labels-idx1-ubyte"]
    with pytest.raises(ValueError, match=f"train-labels-idx1-ubyte.*SHA-256 {found}, expected {expected}.*remove it"):
        Tiny(tmp_path)


def test_gzip_that_is_cut_off(tmp_path):
    path = write_files(tmp_path) / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte.gz: the gzip data is damaged or cut off"):
        Tiny(tmp_path)


# ---- the download, from a server on this machine


class Server(ThreadingHTTPServer):
    """Serves CONTENT as gzip, in the way that ``behaviour`` names, and counts the requests."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.behaviour, self.requests = "well", []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/files/"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.removeprefix("/files/").removesuffix(".gz")
        self.server.requests.append(name)
        if self.server.behaviour == "an error":
            self.send_error(503)
            return
        body = gzip.compress(CONTENT[name][::-1] if self.server.behaviour == "other content" else CONTENT[name])
        self.send_response(200)
        if self.server.behaviour != "cut off, no length":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if "cut off" in self.server.behaviour else body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setattr(Tiny, "url", server.url)
        yield server
        server.shutdown()
        thread.join()


def test_files_are_downloaded_once(cache, server):
    assert np.array_equal(Tiny().data.numpy(), IMAGES)
    assert server.requests == ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"]
    assert sorted(path.name for path in cache.iterdir()) == [f"{name}.gz" for name in sorted(server.requests)]
    assert np.array_equal(Tiny(download=False).data.numpy(), IMAGES)
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("behaviour", "error", "says"),
    [
        ("an error", OSError, r"could not download http://127\S+/train-images-idx3-ubyte.gz to .*503.*root="),
        ("other content", ValueError, r"http://127\S+/train-images-idx3-ubyte.gz: .*SHA-256 [0-9a-f]{64}, expected "),
        ("cut off", OSError, r"could not download http://127\S+/train-images-idx3-ubyte.gz to .*root="),
        ("cut off, no length", ValueError, r"http://127\S+/train-images-idx3-ubyte.gz: the gzip data is .*cut off"),
    ],
)
def test_a_download_that_fails_leaves_nothing_and_can_be_repeated(cache, server, behaviour, error, says):
    server.behaviour = behaviour
    with pytest.raises(error, match=says):
        Tiny()
    assert list(cache.iterdir()) == []
    server.behaviour = "well"
    assert len(Tiny()) == 4


def test_a_download_that_is_interrupted_by_the_user_leaves_nothing(cache, server, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("tinygrad_lite.datasets.files.verify", interrupt)
    with pytest.raises(KeyboardInterrupt):
        Tiny()
    assert list(cache.iterdir()) == []


def test_a_server_that_is_not_there(cache):
    with pytest.raises(OSError, match="could not download"):
        Tiny()


def test_a_file_that_was_damaged_in_the_cache(cache, server):
    Tiny()
    (cache / "train-images-idx3-ubyte.gz").write_bytes(b"damaged")
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte.gz: .*SHA-256.*remove it and get the original"):
        Tiny()
    (cache / "train-images-idx3-ubyte.gz").unlink()
    assert len(Tiny()) == 4


def test_no_download_when_a_folder_is_named(cache, server, tmp_path):
    with pytest.raises(FileNotFoundError):
        Tiny(tmp_path / "empty")
    assert server.requests == []


def test_no_download_when_it_is_not_allowed(cache, server):
    with pytest.raises(FileNotFoundError, match=r"train-images-idx3-ubyte.gz: no such file, and download=False"):
        Tiny(download=False)
    assert server.requests == []


def test_without_pooch_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError, match=r'pip install "tinygrad_lite\[data\]"'):
        Tiny()


def test_without_pooch_a_folder_is_enough(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    assert len(Tiny(write_files(tmp_path))) == 4


# ---- the real files


@pytest.mark.parametrize("dataset", [MNIST, FashionMNIST])
def test_every_file_has_a_checksum_and_every_label_a_name(dataset):
    assert set(dataset.checksums) == set(CONTENT)
    assert all(len(bytes.fromhex(checksum)) == 32 for checksum in dataset.checksums.values())
    assert len(set(dataset.classes)) == 10


@pytest.mark.data
@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("dataset", [MNIST, FashionMNIST])
def test_the_real_files(dataset, train):
    files = dataset(os.environ["TINYGRAD_LITE_DATA"], train)
    count = 60_000 if train else 10_000
    assert files.data.shape == (count, 28, 28)
    assert files.targets.shape == (count,)
    labels, sizes = np.unique(files.targets.numpy(), return_counts=True)
    assert labels.tolist() == list(range(10))
    assert sizes.sum() == count
    if dataset is FashionMNIST:
        assert set(sizes.tolist()) == {count // 10}


@pytest.mark.data
def test_real_files_of_the_other_data_set_are_refused():
    with pytest.raises(ValueError, match="SHA-256"):
        MNIST(os.path.join(os.environ["TINYGRAD_LITE_DATA"], "fashion-mnist"), train=False)
