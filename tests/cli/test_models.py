from __future__ import annotations

import coffea_equitag as eqt
from coffea_equitag.cli import main
from coffea_equitag.models.catalogue import catalogue


def test_lists_every_model(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["models", "-n", "12"]) == 0
    printed = capsys.readouterr().out
    assert all(f" {kind} " in printed for kind in eqt.models.names())
    assert all(eqt.models.build(kind).paper in printed for kind in eqt.models.names())
    assert f"zoo: {', '.join(eqt.zoo.names())}" in printed
    assert "224,072" in printed
    assert "83,842" in printed
    assert "Lorentz-invariant" in printed  # 80 columns cut off nothing of the last one


def test_catalogue_counts():
    entries = {entry.kind: entry for entry in catalogue(20)}
    assert tuple(entries) == eqt.models.names()
    assert all(entry.parameters > 0 and entry.flops > 0 for entry in entries.values())
    # PFN: one multiplication and one addition per weight, for each constituent in Φ and each jet in F
    assert entries["pfn"].flops == 2 * (20 * (7 * 128 + 2 * 128**2) + 3 * 128**2 + 2 * 128)


def test_refuses_empty_jets(capsys):
    assert main(["models", "-n", "0"]) == 1
    assert "one constituent or more" in capsys.readouterr().err
