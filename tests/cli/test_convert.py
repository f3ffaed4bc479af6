from __future__ import annotations

import importlib

import pytest
import torch

import coffea_equitag as eqt
from coffea_equitag.cli import COMMANDS, main


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_its_module_and_help(command, capsys):
    assert importlib.import_module(f"coffea_equitag.cli.{command}").run
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert command in capsys.readouterr().out


def test_converts_a_checkpoint(tmp_path, capsys):
    state = eqt.models.build("pfn", phi=(4, 4), f=(4,)).state_dict()
    official = {}
    for name, value in state.items():
        part, index, what = name.split(".")
        if part == "phi":
            official[f"phi.{int(index) // 3}.0.{what}"] = value[..., None] if what == "weight" else value
        else:
            official[f"fc.{int(index) // 2}{'.0' if int(index) == 0 else ''}.{what}"] = value
    torch.save(official, tmp_path / "pfn.pt")
    arguments = ["convert", "pfn", str(tmp_path / "pfn.pt"), "-o", str(tmp_path / "t"), "--classes", "qcd", "top"]
    assert main([*arguments, "--option", "phi=[4, 4]", "--option", "f=[4]"]) == 0
    assert "official-pfn" in capsys.readouterr().out
    assert eqt.load(tmp_path / "t").classes == ("qcd", "top")
    again = [*arguments, "--option", "phi=[4, 4]", "--option", "f=[4]", "--name", "again"]
    assert main(again) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert main([*again, "--overwrite"]) == 0
    assert eqt.load(tmp_path / "t").name == "again"


def test_inputs_of_a_data_configuration(tmp_path):
    model = eqt.models.build("pfn", phi=(4, 4), f=(4,), inputs=["part_deltaR", ["part_charge", None]])
    names = {"phi.0": "phi.0.0", "phi.3": "phi.1.0", "f.0": "fc.0.0", "f.2": "fc.1"}
    state = {}
    for name, value in model.state_dict().items():
        layer, what = name.rsplit(".", 1)
        state[f"mod.{names[layer]}.{what}"] = value[..., None] if layer[0] == "p" and what == "weight" else value
    torch.save(state, tmp_path / "pfn.pt")
    arguments = ["convert", "pfn", str(tmp_path / "pfn.pt"), "-o", str(tmp_path / "t"), "--option", "mirrored=true"]
    assert main([*arguments, "--option", 'inputs=["part_deltaR", ["part_charge", null]]']) == 0
    options = eqt.load(tmp_path / "t").model.options
    assert (options["mirrored"], options["inputs"][1]) == (True, ["part_charge", None, 1.0, -5.0, 5.0])


def test_wrong_checkpoint_and_option(tmp_path, capsys):
    assert main(["convert", "pfn", str(tmp_path / "no.pt"), "-o", str(tmp_path / "t")]) == 1
    assert "no file" in capsys.readouterr().err
    assert main(["convert", "pfn", "x.pt", "-o", str(tmp_path / "t"), "--option", "phi"]) == 1
    assert "KEY=VALUE" in capsys.readouterr().err
    assert not (tmp_path / "t").exists()
