"""The tables over all studies and packaged taggers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from studies.overview import MARKERS, PAGES, ROOT, networks_page, readme, replaced, write_tables
from studies.study import Study

from coffea_equitag import zoo


@pytest.mark.parametrize("page", PAGES)
def test_pages_are_those_of_the_results(page):
    text = (ROOT / page).read_text()
    assert text == replaced(text, PAGES[page](ROOT)), "python -m studies --tables"


def test_every_network_has_a_page():
    text = networks_page()
    pages = {path.name for path in (ROOT / "docs" / "networks").glob("*.md")}
    linked = {part.partition(")")[0] for part in text.split("](")[1:]}
    assert {Path(link).name for link in linked if "/" not in link} <= pages


def test_rows(tmp_path):
    """Infinite rejections, one training, a network that is not trained, and a study of other jets."""
    root = tmp_path / "clone"
    for name in ("networks", "btag"):
        (root / "studies" / name).mkdir(parents=True)
        (root / "studies" / name / "study.yaml").write_text((ROOT / "studies" / name / "study.yaml").read_text())
    study = Study.read(root / "studies" / "networks")
    infinite = {"value": None, "low": 900, "high": None}
    metrics = {"auc": {"value": 0.98, "low": 0.97, "high": 0.985}, "rejection_30": infinite}
    one = {"name": "pfn", "variant": "pfn", "label": "PFN", "jets": 60000, "is_whole": True, "num_parameters": 83842}
    results = {
        "variants": [one | {"us_per_jet": 29.4}],
        "samples": {"simulated": {"metrics": {"pfn": metrics}}},
        "made": {"date": "2026-11-29", "version": "0.1"},
    }
    for name in ("networks", "btag"):
        (root / "studies" / name / "results.json").write_text(json.dumps(results))
    text = readme(root)
    assert "| PFN | 83,842 | 29 | 0.9800 +0.0050 −0.0100 | – | above 900 |" in text
    assert "`python -m studies.networks`, 2026-11-29, version 0.1." in text
    assert all(entry.full_label in text for entry in study.entries())
    assert "studies.btag" not in networks_page(root)
    listed = {name for name in zoo.names() if f"`{name}`" in networks_page(root)}
    assert listed == {name for name in zoo.names() if name.startswith("top-")}
    (root / "README.md").write_text("No markers.\n")
    write_tables(root)
    assert (root / "README.md").read_text() == "No markers.\n"
    (root / "README.md").write_text(f"Before.\n{MARKERS[0]}\nold\n{MARKERS[1]}\nAfter.\n")
    write_tables(root)
    assert (root / "README.md").read_text() == f"Before.\n{MARKERS[0]}\n{text}{MARKERS[1]}\nAfter.\n"
