"""Files appear whole or not at all."""

import pytest

from examples.files import whole


def test_a_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "folder" / "page"
    with whole(path) as file:
        file.write(b"all of it")
        assert not path.exists()
    assert path.read_bytes() == b"all of it"
    assert [entry.name for entry in path.parent.iterdir()] == ["page"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "page"
    path.write_text("old")
    with pytest.raises(OSError, match="no space"), whole(path) as file:
        file.write(b"half of i")
        raise OSError("no space left on device")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
