"""Reports: one page that loads nothing, and its numbers as JSON."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from coffea_equitag import JetError
from coffea_equitag.evaluation import Estimate
from coffea_equitag.evaluation.report import Picture, Section, Table, report_files, write_report

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")


def a_figure(points: int = 10) -> Figure:
    figure = Figure()
    figure.add_subplot().plot(np.arange(points))
    return figure


def a_section(**options) -> Section:
    table = Table(
        ("cut", "value"), [("tight <1%", Estimate(1234.0, 1200.0, 1300.0)), ("loose", np.float64(0.25))], "a & b"
    )
    return Section("Mass & shape", "First.\n\nSecond <b>.", [Picture(a_figure(), "A line")], [table], **options)


class Elements(HTMLParser):
    """All elements, whether each is closed, and the addresses in the page."""

    def __init__(self, page: str):
        super().__init__()
        self.open, self.seen, self.addresses, self.text = [], [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "link", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_the_page_holds_all_and_loads_nothing():
    about, summary = {"tagger": "PFN <1>", "data": ["a.root", "b.root"]}, {"AUC": Estimate(0.98, 0.97, 0.99)}
    page = report_files("A & B", [a_section()], about=about, summary=summary)["report.html"].decode()
    found = Elements(page)
    assert found.open == []
    assert not {"script", "iframe", "object"} & set(found.seen)
    assert all(address.startswith(("data:", "#")) for address in found.addresses)
    assert "url(" not in page
    assert "@import" not in page
    text = "".join(found.text)
    for part in ("A & B", "PFN <1>", "a.root, b.root", "Mass & shape", "Second <b>.", "tight <1%", "a & b", "0.25"):
        assert part in text
    assert "1234" in text
    assert "+66" in text
    assert "−34" in text
    assert found.seen.count("p") == 2


def test_figures_are_lines_or_where_there_are_too_many_pixels():
    pages = [report_files("t", [Section("s", pictures=[Picture(a_figure(n), "")])]) for n in (10, 40_000)]
    for page, start in zip(pages, (b"<?xml", b"\x89PNG"), strict=True):
        (content,) = re.findall(rb"data:image/[a-z+]*;base64,([^\"]*)", page["report.html"])
        assert base64.b64decode(content).startswith(start)
        assert len(content) < 200_000


def test_the_same_report_has_the_same_bytes():
    assert report_files("t", [a_section()]) == report_files("t", [a_section()])


def test_numbers_as_json():
    data = {"mass": np.array([1.5, np.inf]), "jsd": Estimate(0.1, 0.05, np.nan), 5: (np.int64(3), None, "ε")}
    found = json.loads(report_files("t", [a_section(data=data)], summary={"R": np.inf})["report.json"])
    assert found["schema"] == 1
    assert found["summary"] == {"R": None}
    assert found["sections"]["mass_shape"] == {
        "mass": [1.5, None],
        "jsd": {"value": 0.1, "low": 0.05, "high": None},
        "5": [3, None, "ε"],
    }


@pytest.mark.skipif(not BROWSER, reason="no chromium")
def test_a_browser_has_nothing_to_say(tmp_path):
    page = write_report(tmp_path, "A & B", [a_section()], summary={"1/ε_B": Estimate(32.0, 25.0, 41.0)})
    picture = tmp_path / "page.png"
    # a user namespace of its own is not to be had in every container
    words = [BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    words += ["--enable-logging=stderr", f"--screenshot={picture}", "--window-size=1000,900", page.as_uri()]
    said = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True).stderr
    assert "CONSOLE" not in said
    pixels = imread(picture)
    assert pixels.shape[:2] == (900, 1000)
    # the blue of the line that the figure draws
    assert (np.abs(pixels[..., :3] - np.array([0x1F, 0x77, 0xB4]) / 255).max(axis=-1) < 0.02).sum() > 50


def test_both_files_or_none(tmp_path):
    path = write_report(tmp_path / "out", "t", [a_section()])
    assert sorted(each.name for each in path.parent.iterdir()) == ["report.html", "report.json"]
    with pytest.raises(TypeError):
        write_report(tmp_path / "other", "t", [a_section(data={"a": object()})])
    assert not (tmp_path / "other").exists()


def test_refused():
    with pytest.raises(JetError, match="two sections called mass_shape"):
        report_files("t", [a_section(), a_section()])
    with pytest.raises(JetError, match="a row of 1 cells below 2 columns"):
        Table(("a", "b"), [("one",)])


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (Estimate(1234.0, 1200.0, 1300.0), "1234 +66 −34"),
        (Estimate(0.98765, 0.98665, 0.98865), "0.9877 ± 0.0010"),
        (Estimate(np.inf, 86.3, np.inf), "above 86"),
        (Estimate(np.inf, np.inf, np.inf), "∞"),
        (Estimate(np.nan, np.nan, np.nan), "–"),
        (Estimate(-0.5, -0.7, -0.2), "−0.50 +0.30 −0.20"),
        (Estimate(20.0, np.nan, np.nan), "20.0"),
    ],
)
def test_estimates_in_words(estimate, text):
    assert str(estimate) == text
