from __future__ import annotations

import subprocess
import sys
import warnings

import pytest

import coffea_equitag as eqt


def test_import_is_lazy():
    code = (
        "import sys; import coffea_equitag as eqt; "
        "assert not {'torch', 'awkward', 'coffea', 'numba', 'numpy', 'scipy'} & set(sys.modules), 'heavy import'; "
        "assert 'load' in dir(eqt)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_resolves():
    for name in eqt.__all__:
        assert getattr(eqt, name) is not None


def test_networks_need_no_more_than_torch_numba_awkward_vector():
    code = (
        "import sys\n"
        "for name in ('coffea', 'uproot', 'hist', 'fastjet', 'lightning', 'pydantic', 'matplotlib', 'safetensors',"
        " 'sklearn', 'rich'):\n"
        "    sys.modules[name] = None\n"
        "import coffea_equitag.layers, coffea_equitag.models as models\n"
        "models.build('lorentznet', hidden=4, n_layers=1); models.build('pfn')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = eqt.nonsense


def test_command_line_help_and_version(capsys):
    from coffea_equitag.cli import main

    assert main([]) == 2
    assert "score" in capsys.readouterr().out
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == eqt.__version__


def test_warnings_of_commands_have_no_line_of_code(capsys, monkeypatch):
    from coffea_equitag.cli import main, models

    usual = warnings.formatwarning

    def run(arguments):
        print(warnings.formatwarning("far outside", eqt.JetRangeWarning, "stream.py", 3), end="")
        print(warnings.formatwarning("of torch", RuntimeWarning, "other.py", 4), end="")
        return 0

    monkeypatch.setattr(models, "run", run)
    assert main(["models"]) == 0
    # restore the warning filters, which a library may have changed globally
    others = usual("of torch", RuntimeWarning, "other.py", 4)
    assert capsys.readouterr().out == "equitag models: far outside\n" + others
    assert warnings.formatwarning is usual
