"""Data sets of small grey images with labels, in the IDX files that MNIST introduced."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tinygrad_lite.autograd.tensor import Tensor, wrap
from tinygrad_lite.datasets.files import VARIABLE, fetch, locate, verify
from tinygrad_lite.datasets.idx import decode_idx, unpacked
from tinygrad_lite.utils.data.dataset import Dataset

__all__ = ["MNIST", "FashionMNIST", "IdxImages"]


class IdxImages(Dataset[tuple[Any, Any]]):
    """Images and labels from IDX files: what MNIST and Fashion-MNIST share.

    A subclass names the data set: ``subfolder``, ``url``, ``classes``, and the SHA-256 of each raw
    file in ``checksums``.

    Sample i is ``(image, target)``: the image is a float32 tensor ``(1, rows, columns)`` with
    values in [0, 1] (the bytes divided by 255: what torchvision's ``ToTensor`` makes of it), the
    target an int.

    Parameters
    ----------
    root : path, optional
        The folder that holds the files, plain or gzip, in the subfolder named after the data set
        (``mnist``, ``fashion-mnist``) or right there. Default: the folder named by the
        environment variable ``TINYGRAD_LITE_DATA``; without that, the files are downloaded once,
        into the cache folder that the operating system gives the project.
    train : bool
        The files for training, or those for the test.
    download : bool
        Whether files may be downloaded. They never are where a folder is named.
    transform, target_transform : callable, optional
        Applied to the image, and to the target, of each sample.

    Attributes
    ----------
    data : Tensor
        The images, uint8 ``(N, rows, columns)``.
    targets : Tensor
        The labels, int64 ``(N,)``.
    classes : tuple of str
        What the labels mean.

    Raises
    ------
    FileNotFoundError
        If the folder lacks a file.
    ValueError
        If the content of a file is not the original's, by its SHA-256.
    OSError
        If a download fails.
    ImportError
        If a download needs pooch and it is not installed.
    """

    subfolder: ClassVar[str]
    url: ClassVar[str]
    checksums: ClassVar[dict[str, str]]
    classes: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        train: bool = True,
        *,
        download: bool = True,
        transform: Callable[[Tensor], Any] | None = None,
        target_transform: Callable[[int], Any] | None = None,
    ) -> None:
        part = "train" if train else "t10k"
        folder = root if root is not None else os.environ.get(VARIABLE) or None
        self.data = wrap(self._read(f"{part}-images-idx3-ubyte", folder, download))
        self.targets = wrap(self._read(f"{part}-labels-idx1-ubyte", folder, download).astype(np.int64))
        self.train = train
        self.transform = transform
        self.target_transform = target_transform

    def _read(self, name: str, folder: str | os.PathLike[str] | None, download: bool) -> NDArray[Any]:
        checksum = self.checksums[name]
        if folder is None:
            path = fetch(name, self.url, self.subfolder, checksum, download)
        else:
            path = locate(name, folder, self.subfolder)
        return decode_idx(verify(unpacked(path.read_bytes(), path), checksum, path), path)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image: Any = wrap(_in_unit_range(self.data._array[index][None]))
        target: Any = int(self.targets._array[index])
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return image, target

    def __len__(self) -> int:
        return len(self.data)

    def __repr__(self) -> str:
        rows, columns = self.data.shape[1:]
        part = "train" if self.train else "test"
        return f"{type(self).__name__}({part}, {len(self)} images of {rows}x{columns})"

    def tensors(self, flatten: bool = False) -> tuple[Tensor, Tensor]:
        """All samples at once, ready for training; the transforms are not applied.

        Parameters
        ----------
        flatten : bool
            Each image as one row of pixels.

        Returns
        -------
        images : Tensor
            float32, values in [0, 1], ``(N, 1, rows, columns)``, or ``(N, rows * columns)`` flat.
        targets : Tensor
            int64 ``(N,)``, a copy.
        """
        count, rows, columns = self.data.shape
        shape = (count, rows * columns) if flatten else (count, 1, rows, columns)
        return wrap(_in_unit_range(self.data._array).reshape(shape)), wrap(self.targets._array.copy())


def _in_unit_range(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.divide(pixels, 255, dtype=np.float32)


class MNIST(IdxImages):
    """Handwritten digits: 60,000 images of 28x28 pixels to train on, 10,000 for the test.

    Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits". Parameters,
    attributes and errors: :class:`IdxImages`.

    Examples
    --------
    >>> from tinygrad_lite.datasets import MNIST
    >>> images, digits = MNIST().tensors(flatten=True)  # doctest: +SKIP
    >>> MNIST.classes[7]
    '7 - seven'
    """

    subfolder = "mnist"
    url = "https://ossci-datasets.s3.amazonaws.com/mnist/"
    checksums: ClassVar[dict[str, str]] = {
        "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    }
    classes = (
        "0 - zero",
        "1 - one",
        "2 - two",
        "3 - three",
        "4 - four",
        "5 - five",
        "6 - six",
        "7 - seven",
        "8 - eight",
        "9 - nine",
    )


class FashionMNIST(IdxImages):
    """Articles of clothing: 60,000 images of 28x28 pixels to train on, 10,000 for the test.

    Source: H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking
    Machine Learning Algorithms", 2017. Parameters, attributes and errors: :class:`IdxImages`.

    Examples
    --------
    >>> from tinygrad_lite.datasets import FashionMNIST
    >>> test = FashionMNIST(train=False)  # doctest: +SKIP
    >>> FashionMNIST.classes[9]
    'Ankle boot'
    """

    subfolder = "fashion-mnist"
    url = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
    checksums: ClassVar[dict[str, str]] = {
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    }
    classes = (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    )
