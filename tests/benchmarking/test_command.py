"""equitag benchmark."""

from __future__ import annotations

import json
from importlib.metadata import version

from coffea_equitag.cli import main


def test_quick_writes_table_and_numbers(tmp_path, capsys):
    out = tmp_path / "made" / "here"
    page = tmp_path / "page.md"
    page.write_text(
        "Before\n<!-- made by: equitag benchmark -->\nold\n<!-- end of what equitag benchmark made -->\nAfter\n"
    )
    words = ["benchmark", "--quick", "--models", "pfn", "--only", "networks", "pairs"]
    assert main([*words, "-o", str(out), "--into", str(page)]) == 0
    table = (out / "table.md").read_text()
    assert table.strip() in capsys.readouterr().out
    assert table.strip() in page.read_text()
    assert page.read_text().startswith("Before\n")
    assert page.read_text().endswith("\nAfter\n")
    assert "old" not in page.read_text()
    found = json.loads((out / "table.json").read_text())
    assert found["machine"]["versions"]["torch"] == version("torch")
    assert found["machine"]["tuned malloc"]
    assert found["networks"][0]["model"] == "pfn"
    assert "pipeline" not in found
    assert sorted(path.name for path in out.iterdir()) == ["table.json", "table.md"]


def test_explain(capsys):
    assert main(["benchmark", "--explain", "--models", "pfn"]) == 0
    told = capsys.readouterr().out
    assert "float64" in told
    assert "the network is not in float32" in told


def test_explain_of_given_options(capsys):
    words = ["benchmark", "--explain", "--models", "lorentznet", "--option", "hidden=8", "output=momentum"]
    assert main(words) == 0
    assert "it gives momenta" in capsys.readouterr().out


def test_refused(tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text("nothing here")
    assert main(["benchmark", "--into", str(page)]) == 1
    assert "a page without a place for tables" in capsys.readouterr().err
    assert main(["benchmark", "--models", "transformer"]) == 1
    assert "'transformer' among the models" in capsys.readouterr().err
    assert main(["benchmark", "--quick", "--models", "pfn", "--option", "layers=3"]) == 1
    printed = capsys.readouterr().err
    assert "pfn has no option 'layers'" in printed
    assert "Traceback" not in printed
    assert main(["benchmark", "--quick", "--models", "pfn", "-o", str(page)]) == 1
    assert f"{page} is a file" in capsys.readouterr().err
