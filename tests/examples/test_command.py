"""The main job, ``python -m examples``: its command line, its table, its files, and how it stops."""

import importlib
import re
import subprocess
import sys

import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("rich")
pytest.importorskip("sklearn")

from examples import __main__ as command
from examples import results


def short_lesson(lesson):
    with lesson.measure("a model", reported="1.000") as row:
        row.scores = {"test": 0.999, "epochs": 7}


def failing_lesson(lesson):
    short_lesson(lesson)
    raise KeyboardInterrupt


@pytest.fixture
def program(monkeypatch):
    """Document 002 with experiments of our own."""
    module = importlib.import_module("examples.document_002")

    def use(*experiments):
        monkeypatch.setattr(module, "EXPERIMENTS", experiments)
        for experiment in experiments:
            monkeypatch.setattr(module, experiment.__name__, experiment, raising=False)

    return use


def run(*arguments, out):
    return command.main(["--only", "002", "--jobs", "1", "--out", str(out), *arguments])


def test_the_table_and_the_page_show_every_row(program, tmp_path, capsys):
    program(short_lesson)
    (row,) = run(out=tmp_path)
    assert row.ours == "test 0.999, epochs 7"
    shown = capsys.readouterr().out
    for text in ("document", "reported", "ours", "seconds", "a model", "1.000", "test 0.999, epochs 7"):
        assert text in shown
    assert "embedded data" in shown
    assert "test 0.999, epochs 7" in (tmp_path / "report.html").read_text()


def test_a_run_that_is_interrupted_shows_what_it_has(program, tmp_path, capsys):
    program(short_lesson, failing_lesson)
    with pytest.raises(SystemExit, match="interrupted"):
        run(out=tmp_path)
    assert "test 0.999" in capsys.readouterr().out
    assert not (tmp_path / "report.html").exists()


def test_a_full_disk_is_named(program, tmp_path, monkeypatch, capsys):
    def full_disk(lesson):
        raise OSError(28, "No space left on device")

    program(short_lesson, full_disk)
    with pytest.raises(SystemExit, match="No space left"):
        run(out=tmp_path)
    assert "test 0.999" in capsys.readouterr().out


def test_a_damaged_file_is_named(program, tmp_path, capsys):
    def damaged(lesson):
        raise ValueError("train-images: not a gzip file")

    program(short_lesson, damaged)
    with pytest.raises(SystemExit, match="not a gzip file"):
        run(out=tmp_path)
    assert "test 0.999" in capsys.readouterr().out


def test_a_mistake_in_a_program_is_not_hidden(program, tmp_path, capsys):
    def mistaken(lesson):
        raise ZeroDivisionError

    program(short_lesson, mistaken)
    with pytest.raises(ZeroDivisionError):
        run(out=tmp_path)
    assert "test 0.999" in capsys.readouterr().out


def trained_lesson(lesson):
    with lesson.measure("a trained model", reported="1.000") as row:
        with lesson.progress(1, "a net"):
            row.scores = {"compiled": int(lesson.compile)}


@pytest.mark.parametrize("options", [(), ("--compile",)])
def test_nets_that_were_compiled_are_marked(program, tmp_path, capsys, options):
    program(short_lesson, trained_lesson)
    compiled = bool(options)
    rows = run(*options, out=tmp_path)
    assert [row.compiled for row in rows] == [False, compiled]
    assert rows[1].scores == {"compiled": compiled}
    page = (tmp_path / "report.html").read_text()
    for shown in (capsys.readouterr().out, page):
        assert ("0.0 *" in shown) is compiled
        assert ("trained by compiled steps" in shown) is compiled


def test_a_document_named_twice_runs_once(program, tmp_path):
    program(short_lesson)
    assert len(run("--only", "002", "002", out=tmp_path)) == 1


def test_full_runs_every_seed_and_writes_the_page_of_results(program, tmp_path, monkeypatch):
    program(short_lesson)
    monkeypatch.setattr(results, "FOLDER", tmp_path / "docs")
    rows = run("--full", "--data", str(tmp_path), out=tmp_path / "out")
    assert len(rows) == 5
    page = (tmp_path / "docs" / "results.md").read_text()
    assert re.search(r"a model \| 1\.000 \| test 0\.999 \(0\.999 to 0\.999\)<br>epochs 7 \(7 to 7\) \| 5 ", page)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "nowhere"], "no such folder"),
        (["--only", "999"], "'999'"),
        (["--full"], "--full needs the real files"),
        (["--full", "--quick", "--data", "."], "not allowed with"),
        (["--full", "--compile", "--data", "."], "python -m examples.comparison"),
        (["--jobs", "0"], "at least 1"),
        (["--seed", "one"], "invalid int value"),
    ],
)
def test_a_wrong_option_is_an_error_of_the_command_line(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        command.main(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_an_error_of_the_command_line(tmp_path, capsys):
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit) as stop:
        command.main(["--out", str(tmp_path / "file")])
    assert stop.value.code == 2
    assert "--out" in capsys.readouterr().err


def test_a_folder_without_the_files_is_named(tmp_path):
    with pytest.raises(SystemExit, match=r"blobs400\.csv"):
        command.main(["--only", "000", "--jobs", "1", "--data", str(tmp_path), "--out", str(tmp_path)])


def test_a_missing_extra_is_named():
    hidden = (
        "import sys; sys.modules['matplotlib'] = None; import runpy; runpy.run_module('examples', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", hidden], capture_output=True, text=True)
    assert done.returncode == 1
    assert "pip install 'tinygrad_lite[examples]'" in done.stderr
    assert "Traceback" not in done.stderr
