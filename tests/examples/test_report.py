"""The page of a run: what it says, that it needs nothing else, and how it looks to a browser."""

import base64
import html
import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")

from matplotlib.figure import Figure

from examples import files, report, schedule
from examples.lesson import Lesson

CHROMIUM = shutil.which("chromium")
in_a_browser = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
NOTE = "Trained on embedded data <in kind>."


class Elements(HTMLParser):
    """The elements of a page; fails where a tag closes what is not open."""

    def __init__(self, page):
        super().__init__()
        self.open, self.found = [], []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "img"):  # these have no end
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def attributes(self, name, tag=None):
        return [attrs[name] for found, attrs in self.found if name in attrs and tag in (None, found)]


def run_of(document, seed, out):
    """An experiment with a finished row, one with a note, an open one, and figures of usual and of unusual width."""
    lesson = Lesson(document, None, "quick", seed, out / f"seed_{seed}")
    with lesson.measure("784-25-10, a < b & c", reported="val 0.989, test 0.994 (0.912 at 1M, 0.977 at 2M)") as row:
        row.scores = {"val": 0.98123, "test": 0.5}
    with lesson.measure("pairs", reported="99.65 %", form=".2%") as row:
        row.scores = {"test": 0.9965, "learnt": 7}
        row.note = "7 of 10 starts learn; the norm of the others' gradients is < 1e-9."
    lesson.rows[-1].seconds = 123.44
    lesson.leave_open("CNN like LeNet-5", reported="test 0.9859")
    for name, size in {"curve": (6, 4), "panels": (18, 4)}.items():
        figure = Figure(figsize=size)
        figure.subplots().plot([1, 0])
        lesson.save(figure, name, f"The {name} of {document} & more.")
    return lesson


@pytest.fixture(scope="module")
def lessons(tmp_path_factory):
    out = tmp_path_factory.mktemp("figures")
    return [run_of("000", 0, out), run_of("003", 0, out)]


@pytest.fixture
def path(lessons, tmp_path):
    path = tmp_path / "report.html"
    report.write(path, lessons, NOTE)
    return path


@pytest.fixture
def page(path):
    return path.read_text()


def rows_of(page):
    """The table's body as lists of cells in plain text."""
    body = page[page.index("<tbody>") : page.index("</table>")]
    return [
        [html.unescape(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)]
        for row in re.findall(r"<tr.*?</tr>", body, re.DOTALL)
    ]


def test_every_document_with_a_program_has_a_title():
    assert set(schedule.documents()) <= set(report.TITLES)


def test_the_table(page):
    rows = rows_of(page)
    assert rows[0] == ["Document 000"]
    model, reported, ours, _ = rows[1]
    assert (model, ours) == ("784-25-10, a < b & c", "val 0.981, test 0.500")
    assert reported == "val 0.989, test 0.994 (0.912 at 1M, 0.977 at 2M)"
    assert rows[2] == ["pairs", "99.65 %", "test 99.65%, learnt 7", "123.4"]
    assert rows[3] == ["7 of 10 starts learn; the norm of the others' gradients is < 1e-9."]
    assert rows[4] == ["CNN like LeNet-5", "test 0.9859", "open", ""]
    assert rows[5] == ["Document 003"]
    assert len(rows) == 10


def test_text_is_escaped(page):
    assert "784-25-10, a &lt; b &amp; c" in page
    assert "embedded data &lt;in kind&gt;." in page
    assert "a < b" not in page
    assert "<in kind>" not in page


def test_every_figure_is_embedded_under_its_caption(page, lessons):
    pictures = [picture for lesson in lessons for picture in lesson.pictures]
    images = Elements(page).attributes("src", "img")
    assert [base64.b64decode(image.removeprefix("data:image/png;base64,")) for image in images] == [
        picture.path.read_bytes() for picture in pictures
    ]
    captions = [picture.caption for picture in pictures]
    assert Elements(page).attributes("alt", "img") == captions
    assert [html.unescape(text) for text in re.findall("<figcaption>(.*?)</figcaption>", page)] == captions


def test_it_needs_nothing_else(page):
    elements = Elements(page)
    assert all(source.startswith("data:") for source in elements.attributes("src"))
    assert all(target.startswith(("#", "data:")) for target in elements.attributes("href"))
    assert not {"script", "iframe", "object"} & {tag for tag, _ in elements.found}
    assert not re.search(r"://|url\(|@import|srcset|\bon\w+=", page)


def test_the_navigation_leads_to_each_document(page):
    elements = Elements(page)
    ids = elements.attributes("id")
    assert len(ids) == len(set(ids))
    assert elements.attributes("href", "a") == ["#document-000", "#document-003"]
    assert {"document-000", "document-003"} <= set(ids)


def test_it_is_accessible(page):
    elements = Elements(page)
    assert elements.found[0] == ("html", {"lang": "en"})
    assert [tag for tag, _ in elements.found if re.fullmatch(r"h\d", tag)] == ["h1", "h2", "h2", "h2"]
    assert all("scope" in attrs for tag, attrs in elements.found if tag == "th")
    assert set(elements.attributes("aria-labelledby")) <= set(elements.attributes("id"))


def test_colours_have_contrast(page):
    """WCAG 2, level AA: text stands out from its paper by 4.5 to 1, in the light and in the dark."""

    def luminance(colour):
        digits = colour if len(colour) == 6 else "".join(2 * digit for digit in colour)
        channels = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    schemes = [dict(re.findall(r"--(\w+): #(\w+)", block)) for block in re.findall(r":root {[^}]*}", page)]
    assert len(schemes) == 2
    for scheme in schemes:
        for text in ("ink", "quiet", "link"):
            dark, light = sorted(luminance(scheme[name]) for name in (text, "paper"))
            assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_without_a_note_none_is_shown(tmp_path, lessons):
    report.write(tmp_path / "quiet.html", lessons, "")
    assert "<p>" not in (tmp_path / "quiet.html").read_text()


def test_seeds_are_told_apart_where_there_are_several(tmp_path, page):
    path = tmp_path / "seeds.html"
    report.write(path, [run_of("003", seed, tmp_path) for seed in (0, 1)], "")
    several = path.read_text()
    assert [row[1] for row in rows_of(several) if len(row) == 5] == ["0", "0", "any", "1", "1"]  # what is open, once
    assert "Figures of seed 1" in several
    assert len(Elements(several).attributes("src", "img")) == 4
    assert "seed" not in page


def test_a_run_without_results_has_a_page(tmp_path):
    report.write(tmp_path / "empty.html", [], "")
    assert Elements((tmp_path / "empty.html").read_text()).found


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_on_a_full_disk_the_old_page_stays(path, lessons, monkeypatch):
    before = path.read_bytes()
    partial = path.with_name("half.partial")

    def on_a_full_disk(**_):
        partial.touch()
        return os.open("/dev/full", os.O_WRONLY), str(partial)

    monkeypatch.setattr(files.tempfile, "mkstemp", on_a_full_disk)
    with pytest.raises(OSError, match="No space left"):
        report.write(path, lessons, "another note")
    assert path.read_bytes() == before
    assert not partial.exists()


def browse(path, width, scheme="light"):
    """Load a page in a browser without a screen: its elements after all scripts, and its console's messages."""
    profile = path.parent / "profile"
    command = [
        CHROMIUM,
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking",
        "--disable-component-update --disable-sync --hide-scrollbars --enable-logging=stderr --v=0 --dump-dom",
        f"--virtual-time-budget=5000 --window-size={width},900",
        f"--blink-settings=preferredColorScheme={['dark', 'light'].index(scheme)}",
        f"--user-data-dir={profile}",
    ]
    arguments = " ".join(command).split()
    done = subprocess.run([*arguments, path.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    shutil.rmtree(profile, ignore_errors=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def measure(page, width, tmp_path, scheme="light"):
    """What a page of that many pixels' width comes to; a browser's own window cannot be as narrow as a phone's."""
    script = """
        const view = this.contentWindow, page = this.contentDocument, root = page.documentElement;
        const images = [...page.images].map(image => [image.naturalWidth, image.clientWidth]);
        const background = view.getComputedStyle(root).backgroundColor;
        const sizes = {inner: view.innerWidth, scroll: root.scrollWidth, images, background};
        document.getElementById('sizes').textContent = JSON.stringify(sizes);
    """
    frame = f'<iframe style="width: {width}px; border: 0" onload="{script}" srcdoc="{html.escape(page)}"></iframe>'
    path = tmp_path / "frame.html"
    path.write_text(f'<!DOCTYPE html><body style="margin: 0"><pre id="sizes"></pre>{frame}')
    dom, _ = browse(path, width=1400, scheme=scheme)
    return json.loads(html.unescape(re.search('<pre id="sizes">(.*?)</pre>', dom)[1]))


@in_a_browser
def test_the_console_is_silent(path):
    dom, messages = browse(path, width=1280)
    assert "CNN like LeNet-5" in dom
    assert messages == []


@in_a_browser
@pytest.mark.parametrize("script", ["nothing.here()", "console.log('well?')"])
def test_a_message_in_the_console_would_be_seen(path, page, script):
    path.write_text(page.replace("</body>", f"<script>{script}</script></body>"))
    assert len(browse(path, width=1280)[1]) == 1


@in_a_browser
@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_fits_and_shows_every_figure(page, width, tmp_path, lessons):
    sizes = measure(page, width, tmp_path)
    assert sizes["scroll"] <= sizes["inner"] == width
    drawn = [int.from_bytes(picture.path.read_bytes()[16:20]) for lesson in lessons for picture in lesson.pictures]
    assert [natural for natural, _ in sizes["images"]] == drawn
    assert all(0 < shown < width for _, shown in sizes["images"])


@in_a_browser
def test_a_page_that_is_too_wide_and_a_figure_that_is_missing_would_be_seen(page, tmp_path):
    fault = '<p style="width: 400px">wide</p><img src="data:image/png;base64,AAAA" alt="">'
    sizes = measure(page.replace("</main>", f"{fault}</main>"), 360, tmp_path)
    assert sizes["scroll"] > sizes["inner"]
    assert sizes["images"][-1][0] == 0


@in_a_browser
@pytest.mark.parametrize(("scheme", "background"), [("light", "rgb(255, 255, 255)"), ("dark", "rgb(22, 24, 27)")])
def test_it_follows_the_reader_s_colour_scheme(page, scheme, background, tmp_path):
    assert measure(page, 360, tmp_path, scheme)["background"] == background
