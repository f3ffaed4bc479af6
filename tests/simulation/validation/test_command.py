"""``equitag validate``."""

import json

import awkward as ak
import pytest

from coffea_equitag.cli import main
from coffea_equitag.simulation.validation import plots

PLOTS = {
    *("multiplicity", "soft", "soft_fraction", "smallest_pt", "largest_pt_share", "jet_pt", "jet_eta", "jet_mass"),
    *("width", "tau21", "tau32", "pair_mass", "constituent_pt", "constituent_dr", "pt_dr"),
}


@pytest.fixture
def files(tmp_path, toy_jets):
    folder = tmp_path / "simulated"
    folder.mkdir()
    for shard in range(2):
        ak.to_parquet(toy_jets(40, seed=shard), folder / f"shard-0000{shard}.parquet")
    real = tmp_path / "real.parquet"
    ak.to_parquet(toy_jets(60, seed=7), real)
    return [str(folder), str(real)]


@pytest.fixture
def few_plots(monkeypatch):
    """Draw only one plot of the observables, for speed."""
    monkeypatch.setattr(plots, "OBSERVABLES", {"jet_mass": plots.OBSERVABLES["jet_mass"]})
    monkeypatch.setattr(plots, "SPECTRA", {})


def test_report(tmp_path, files, capsys):
    out = tmp_path / "new" / "report"
    assert main(["validate", *files, "-o", str(out), "--no-network", "--classes", "QCD", "top"]) == 0
    assert {path.name for path in out.iterdir()} == {
        "table.md",
        "table.json",
        *(f"{name}.{suffix}" for name in PLOTS for suffix in ("png", "pdf")),
    }
    numbers = json.loads((out / "table.json").read_text())
    assert numbers["facts"]["jets"] == {"simulated": 80, "real": 60}
    assert set(numbers["classes"]) == {"QCD", "top"}
    assert numbers["classes"]["top"]["observables"]["multiplicity"]["num_real"] == 30
    table = (out / "table.md").read_text()
    assert "## top: 40 simulated, 30 real jets" in table
    printed = capsys.readouterr().out
    assert f"of {len(numbers['checks'])} checks passed; table and plots in {out}/" in printed
    # a second report does not overwrite the first
    assert main(["validate", *files, "-o", str(out), "--no-network"]) == 1
    assert "is not empty" in capsys.readouterr().err


@pytest.mark.usefixtures("few_plots")
def test_network(tmp_path, files):
    pytest.importorskip("lightning")
    out = tmp_path / "report"
    assert main(["validate", *files, "-o", str(out), "--folds", "2", "--epochs", "1"]) == 0
    assert (out / "real_versus_simulated.png").exists()
    assert "## Real or simulated?" in (out / "table.md").read_text()
    assert json.loads((out / "table.json").read_text())["facts"]["network"] == {"folds": 2, "epochs": 1, "seed": 1}


@pytest.mark.usefixtures("few_plots")
def test_names_of_classes_from_the_recipe(tmp_path):
    pytest.importorskip("pythia8mc")
    path = tmp_path / "jets.parquet"
    assert main(["simulate", "qg", "-n", "6", "-o", str(path)]) == 0
    out = tmp_path / "report"
    assert main(["validate", str(path), str(path), "-o", str(out), "--no-network"]) == 0
    assert list(json.loads((out / "table.json").read_text())["classes"]) == ["gluon", "quark"]


@pytest.mark.usefixtures("few_plots")
@pytest.mark.filterwarnings("ignore::coffea_equitag.JetRangeWarning")
def test_tagger(tmp_path, files, capsys):
    arguments = ["--no-network", "--tagger", "top-lorentznet"]
    assert main(["validate", *files, "-o", str(tmp_path / "report"), *arguments]) == 0
    assert "top-lorentznet: AUC" in capsys.readouterr().out
    assert "## Taggers on both samples" in (tmp_path / "report" / "table.md").read_text()


def test_refuses_and_leaves_nothing(tmp_path, files, toy_jets, capsys):
    out = str(tmp_path / "report")
    simulated, real = files
    jets = toy_jets(10)
    one_class, unlabelled = tmp_path / "one.parquet", tmp_path / "unlabelled.parquet"
    ak.to_parquet(jets[jets.label == 0], one_class)
    ak.to_parquet(jets[["constituents"]], unlabelled)
    (tmp_path / "empty").mkdir()
    for arguments, words in (
        ([simulated, "nowhere.parquet"], "no file 'nowhere.parquet'"),
        ([str(tmp_path / "empty"), real], "without a Parquet file"),
        ([simulated, str(unlabelled)], "jets without a field 'label'"),
        ([simulated, str(one_class)], "real jets of 0"),
        ([simulated, real, "--labels", "flavour"], "jets without a field 'flavour'"),
        ([simulated, real, "--classes", "QCD"], "class names QCD"),
        ([simulated, real, "--max-constituents", "0"], "max_constituents = 0"),
        ([simulated, real, "--folds", "1"], "folds = 1"),
        ([simulated, real, "--no-network", "--tagger", "nowhere"], "nowhere"),
    ):
        assert main(["validate", *arguments, "-o", out]) == 1, arguments
        assert words in capsys.readouterr().err
        assert not (tmp_path / "report").exists()
    assert main(["validate", simulated, real, "-o", real]) == 1
    assert "is a file" in capsys.readouterr().err


@pytest.mark.usefixtures("few_plots")
def test_real_jets(tmp_path, shared_data):
    """A published dataset compared with itself: nothing differs."""
    path = str(shared_data / "top_landscape_1000.parquet")
    out = tmp_path / "report"
    assert main(["validate", path, path, "-o", str(out), "--no-network", "--classes", "QCD", "top"]) == 0
    assert all(check["kept"] for check in json.loads((out / "table.json").read_text())["checks"])
