"""Where the files of a data set are: in a folder of the user's, or downloaded."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from tinygrad_lite.datasets.idx import unpacked

__all__ = ["fetch", "locate", "verify"]

VARIABLE = "TINYGRAD_LITE_DATA"
"""The environment variable that names the folder of the data sets."""

_ELSE = f"Name the folder that holds it, with root= or the environment variable {VARIABLE}"


def locate(name: str, root: str | os.PathLike[str], subfolder: str) -> Path:
    """The file in the user's folder, plain or with ``.gz``, in the data set's subfolder or right there."""
    folder = Path(root).expanduser()
    places = [place / file for place in (folder / subfolder, folder) for file in (name, f"{name}.gz")]
    for place in places:
        if place.is_file():
            return place
    raise FileNotFoundError(
        f"no file {name} of {subfolder} in the folder {folder}{'' if folder.is_dir() else ', which does not exist'}. "
        f"Looked for {', '.join(map(str, places))}. {_ELSE}, or leave both out to download the data set"
    )


def fetch(name: str, url: str, subfolder: str, checksum: str, download: bool) -> Path:
    """The file ``name.gz`` in the project's cache folder, downloaded if it is not there yet.

    It appears there only when it is complete and its raw content has the SHA-256 ``checksum``.
    """
    pooch = _pooch()
    packed = f"{name}.gz"
    store = pooch.create(path=pooch.os_cache("tinygrad_lite") / subfolder, base_url=url, registry={packed: None})
    if not download and not (store.abspath / packed).is_file():
        raise FileNotFoundError(f"{store.abspath / packed}: no such file, and download=False. {_ELSE}")

    def transfer(url: str, output_file: str, caller: Any) -> None:
        pooch.HTTPDownloader()(url, output_file, caller)
        verify(unpacked(Path(output_file).read_bytes(), url), checksum, url)

    try:
        return Path(store.fetch(packed, downloader=transfer))
    except OSError as error:
        raise OSError(
            f"could not download {url}{packed} to {store.abspath}: {error}. Try again later. {_ELSE}"
        ) from error


def verify(content: bytes, checksum: str, source: object) -> bytes:
    """The content itself, if its SHA-256 is ``checksum``; ``source`` names it in the error."""
    found = hashlib.sha256(content).hexdigest()
    if found != checksum:
        raise ValueError(
            f"{source}: the raw content has SHA-256 {found}, expected {checksum}: the file is damaged or another one; "
            "remove it and get the original"
        )
    return content


def _pooch() -> Any:
    try:
        import pooch
    except ImportError as error:
        raise ImportError(f'downloading needs pooch: pip install "tinygrad_lite[data]". {_ELSE}') from error
    return pooch
