"""``equitag score``."""

import uproot

from coffea_equitag.cli import main


def test_scores_a_file(nano_file, saved_tagger, tmp_path, capsys):
    output = tmp_path / "out.root"
    arguments = ["score", str(saved_tagger.path), str(nano_file), "-o", str(output), "--name", "net", "--chunk", "5"]
    assert main([*arguments, "--keep", "FatJet_*", "HLT_*"]) == 0
    assert "12 events, 17 jets, FatJet_net" in capsys.readouterr().out
    assert {"FatJet_net", "FatJet_msoftdrop"} < set(uproot.open(output)["Events"].keys())
    assert main(arguments) == 1
    assert "already exists" in capsys.readouterr().err
    assert main([*arguments, "--overwrite", "--quiet", "--chunk", "1 MB"]) == 0
    assert capsys.readouterr().err == ""


def test_faults_are_said(nano_file, saved_tagger, tmp_path, capsys):
    out = ["-o", str(tmp_path / "out.root"), "--quiet"]
    for arguments, message in [
        ([str(saved_tagger.path), str(tmp_path / "absent.root")], "no file"),
        ([str(tmp_path), str(nano_file)], "no tagger at"),
        ([str(saved_tagger.path), str(nano_file), "--jets", "Jet"], "without a collection 'Jet'"),
        ([str(saved_tagger.path), str(nano_file), "--chunk=-1"], "chunk_size=-1"),
        ([str(saved_tagger.path), str(nano_file), "--name", "a b"], "scores called 'FatJet_a b'"),
        ([str(saved_tagger.path), "lacking://host/file.root"], "lacking"),
    ]:
        assert main(["score", *arguments, *out]) == 1
        assert message in capsys.readouterr().err
    named = ["score", str(saved_tagger.path), str(nano_file), "-o", str(tmp_path / "out.parquet")]
    assert main([*named, "--format", "rntuple"]) == 1
    assert "out.parquet\n  expected: a name that ends in .root" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_package_that_is_missing_is_named(saved_tagger, tmp_path, capsys, monkeypatch):
    def lacking(source):
        raise ImportError("Install fsspec-xrootd to access xrootd storage system.")

    monkeypatch.setattr("uproot.open", lacking)
    out = ["-o", str(tmp_path / "out.root"), "--quiet"]
    assert main(["score", str(saved_tagger.path), "root://host//file.root", *out]) == 1
    assert "Install fsspec-xrootd" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
