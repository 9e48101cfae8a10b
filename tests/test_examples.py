"""The main job: the documents' programs, on embedded data and on the real files."""

import os
import re
import subprocess
import sys

import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("rich")
pytest.importorskip("sklearn")

from examples import __main__ as command
from examples.lesson import Lesson


def numbers(text):
    return [float(number) for number in re.findall(r"\d\.\d+", text)]


def test_every_document_with_a_program_is_found():
    assert {"000", "002"} <= set(command.documents())


@pytest.mark.slow
def test_the_default_needs_no_data(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("TINYGRAD_LITE_DATA", raising=False)
    rows = command.main(["--out", str(tmp_path)])
    validation, test, two_layers = (numbers(row.ours) for row in rows)
    assert validation[0] >= 0.93
    assert test[0] >= 0.93
    assert min(two_layers) >= 0.9
    table = capsys.readouterr().out
    assert all(column in table for column in ("document", "model", "reported", "ours", "seconds"))
    assert len(list(tmp_path.glob("*.png"))) == 5
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.slow
def test_a_seed_gives_the_same_results_twice(tmp_path):
    rows = [command.main(["--only", "002", "--seed", "7", "--out", str(tmp_path)]) for _ in range(2)]
    assert rows[0][0].ours == rows[1][0].ours


@pytest.mark.data
def test_the_real_data(tmp_path):
    """Document 000 reports 0.960 and 0.990 after a million draws, document 002 0.829 and 0.770."""
    rows = command.main(["--data", os.environ["TINYGRAD_LITE_DATA"], "--quick", "--out", str(tmp_path)])
    validation, test, two_layers = (numbers(row.ours) for row in rows)
    assert validation[0] >= 0.9
    assert test[0] >= 0.9
    assert 0.78 <= two_layers[0] <= 0.88
    assert 0.72 <= two_layers[1] <= 0.84


def test_an_unknown_folder_is_an_error_of_the_command_line(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        command.main(["--data", str(tmp_path / "nowhere")])
    assert stop.value.code == 2
    assert "no such folder" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_an_error_of_the_command_line(tmp_path, capsys):
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit) as stop:
        command.main(["--out", str(tmp_path / "file")])
    assert stop.value.code == 2
    assert "--out" in capsys.readouterr().err


@pytest.mark.parametrize(("error", "message"), [(KeyboardInterrupt(), "interrupted"), (OSError(28, "full"), "full")])
def test_a_run_that_stops_early_shows_what_it_has(error, message, tmp_path, monkeypatch, capsys):
    def run(lesson):
        with lesson.measure("half a lesson", reported="1.000") as row:
            row.ours = "0.999"
        raise error

    monkeypatch.setattr(command.importlib.import_module("examples.document_002"), "run", run)
    with pytest.raises(SystemExit, match=message):
        command.main(["--only", "002", "--out", str(tmp_path)])
    assert "0.999" in capsys.readouterr().out


def test_a_folder_without_the_files_is_named(tmp_path):
    with pytest.raises(SystemExit, match=r"blobs400\.csv"):
        command.main(["--only", "000", "--data", str(tmp_path), "--out", str(tmp_path)])


def test_an_unknown_document_is_an_error_of_the_command_line(capsys):
    with pytest.raises(SystemExit):
        command.main(["--only", "999"])
    assert "'999'" in capsys.readouterr().err


def test_a_missing_extra_is_named():
    hidden = (
        "import sys; sys.modules['matplotlib'] = None; import runpy; runpy.run_module('examples', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", hidden], capture_output=True, text=True)
    assert done.returncode == 1
    assert "pip install 'tinygrad_lite[examples]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_figure_appears_whole_or_not_at_all(tmp_path):
    class Broken:
        def savefig(self, path, **_):
            with open(path, "wb") as file:
                file.write(b"half a pict")
            raise OSError("no space left on device")

    lesson = Lesson("000", data=None, quick=True, out=tmp_path)
    with pytest.raises(OSError, match="no space"):
        lesson.save(Broken(), "figure")
    assert list(tmp_path.iterdir()) == []
    assert lesson.figures == []
