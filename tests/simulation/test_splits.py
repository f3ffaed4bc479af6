"""Standard splits: as documented, disjoint, and reproducible bit for bit."""

import json
from dataclasses import replace

import pytest

pytest.importorskip("pythia8mc")

from coffea_equitag import read_jets
from coffea_equitag.cli import main
from coffea_equitag.errors import JetError
from coffea_equitag.simulation import RECIPES, STANDARD_SPLITS, content_hash, make_split
from coffea_equitag.simulation.sample_request import shard_sizes
from coffea_equitag.simulation.shards import _pythia_seed


@pytest.fixture(scope="module", autouse=True)
def tiny():
    """A split like the others, but small."""
    whole = STANDARD_SPLITS["qg-100k"]
    small = replace(whole, name="tiny", parts=tuple(replace(part, n=2 + k) for k, part in enumerate(whole.parts)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(STANDARD_SPLITS, "tiny", small)
        yield small


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory):
    return make_split("tiny", tmp_path_factory.mktemp("splits") / "tiny")


@pytest.mark.parametrize(("name", "n"), [("top-200k", 200_000), ("qg-100k", 100_000), ("btag-500k", 500_000)])
def test_are_what_their_names_say(name, n):
    split = STANDARD_SPLITS[name]
    assert split.recipe in RECIPES
    assert [part.name for part in split.parts] == ["train", "val", "test"]
    assert sum(part.n for part in split.parts) == n


@pytest.mark.parametrize("name", ["top-200k", "qg-100k", "btag-500k"])
def test_no_two_shards_have_the_same_random_numbers(name):
    split = STANDARD_SPLITS[name]
    processes = range(len(RECIPES[split.recipe].processes))
    seeds = [
        _pythia_seed(part.seed, shard, process)
        for part in split.parts
        for shard in shard_sizes(part.n)
        for process in processes
    ]
    assert len(set(seeds)) == len(seeds)


def test_parts_are_read_and_their_content_is_told(tiny, folder):
    told = json.loads((folder / "split.json").read_text())
    assert (told["split"], told["recipe"]) == ("tiny", "qg")
    for part in tiny.parts:
        jets = read_jets(folder / part.name)
        assert len(jets) == part.n
        of_part = told["parts"][part.name]
        assert (of_part["n"], of_part["seed"]) == (part.n, part.seed)
        assert of_part["content_hash"] == content_hash([jets])
        assert {"pythia8mc", "coffea-equitag"} <= set(of_part["versions"])
        assert of_part["recipe"]["name"] == "qg"


def test_one_part_is_the_same_as_in_the_whole(folder, tmp_path, capsys):
    seen = []
    make_split("tiny", tmp_path / "again", only="val", progress=lambda done, n: seen.append((done, n)))
    assert seen == [(0, 3), (3, 3)]
    name = "shard-00000.parquet"
    assert (tmp_path / "again" / "val" / name).read_bytes() == (folder / "val" / name).read_bytes()
    told = json.loads((tmp_path / "again" / "split.json").read_text())["parts"]
    assert "content_hash" in told["val"]
    assert "content_hash" not in told["train"]
    # the other parts are added, and the result is as if made at once
    assert main(["simulate", "tiny", "-o", str(tmp_path / "again"), "--only", "test", "--only", "train"]) == 0
    assert (tmp_path / "again" / "split.json").read_bytes() == (folder / "split.json").read_bytes()
    assert told["val"]["content_hash"] in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-n", "5"], "-n with tiny"),
        (["--seed", "5", "--no-mpi"], "--seed, --no-mpi with tiny"),
        (["--only", "validation"], "tiny has no part 'validation'"),
        (["-j", "0"], "workers = 0"),
    ],
)
def test_refuses_and_leaves_nothing(tmp_path, capsys, arguments, words):
    assert main(["simulate", "tiny", "-o", str(tmp_path / "new"), *arguments]) == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_refuses_other_names_and_folders(folder, tmp_path, capsys):
    with pytest.raises(JetError, match="no standard split 'top-1M'"):
        make_split("top-1M", tmp_path)
    with pytest.raises(JetError, match="holds the split 'tiny'"):
        make_split("qg-100k", folder)
    (tmp_path / "file").write_text("x")
    with pytest.raises(JetError, match="is a file"):
        make_split("tiny", tmp_path / "file")
    assert main(["simulate", "tiny", "-o", str(tmp_path / "jets.parquet")]) == 1
    assert "a folder, without a suffix" in capsys.readouterr().err
    assert main(["simulate", "qg", "--only", "train", "-o", str(tmp_path / "new")]) == 1
    assert "--only with qg" in capsys.readouterr().err


def test_are_listed(capsys):
    assert main(["simulate", "--list"]) == 0
    out = capsys.readouterr().out
    for name in (*RECIPES, *STANDARD_SPLITS):
        assert f"  {name} " in out
    assert "120000 train (seed 200001)" in out
