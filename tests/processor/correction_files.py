"""Small files of correctionlib in the form of those of the CMS BTV and JME groups."""

from pathlib import Path

from correctionlib import schemav2


def _category(name, items):
    content = [{"key": key, "value": value} for key, value in items.items()]
    return {"nodetype": "category", "input": name, "content": content}


def _write(path: Path, *corrections) -> Path:
    whole = schemav2.CorrectionSet.model_validate({"schema_version": 2, "corrections": list(corrections)})
    path.write_text(whole.model_dump_json(exclude_unset=True))
    return path


def _correction(name, inputs, data):
    variables = [{"name": n, "type": t} for n, t in inputs.items()]
    output = {"name": "weight", "type": "real"}
    return {"name": name, "version": 1, "inputs": variables, "output": output, "data": data}


SHIFTS = {
    "central": 0.0, "up": 0.05, "down": -0.05, "up_correlated": 0.04, "down_correlated": -0.04,
    "up_uncorrelated": 0.03, "down_uncorrelated": -0.03,
}  # fmt: skip

#: (working point, flavour) -> scale factor below and above 500 GeV.
VALUES = {
    ("L", 0): (1.1, 1.3), ("L", 4): (0.95, 0.9), ("L", 5): (0.97, 0.93),
    ("M", 0): (1.2, 1.4), ("M", 4): (0.92, 0.85), ("M", 5): (0.94, 0.9),
}  # fmt: skip


def btv(path: Path) -> Path:
    """``net_comb`` for b and c, ``net_incl`` for light jets: systematic, working point, flavour, |η|, pT."""
    inputs = {"systematic": "string", "working_point": "string", "flavor": "int", "abseta": "real", "pt": "real"}

    def table(flavours):
        def pt(point, flavour, shift):
            content = [value + shift for value in VALUES[point, flavour]]
            return {"nodetype": "binning", "input": "pt", "edges": [20, 500, 1000], "content": content, "flow": "clamp"}

        return _category(
            "systematic",
            {
                key: _category(
                    "working_point",
                    {p: _category("flavor", {f: pt(p, f, shift) for f in flavours}) for p in ("L", "M")},
                )
                for key, shift in SHIFTS.items()
            },
        )

    return _write(path, _correction("net_comb", inputs, table((4, 5))), _correction("net_incl", inputs, table((0,))))


def jme(path: Path) -> Path:
    """``Net_Top``: η, pT, systematic, working point; errors outside 300 to 1200 GeV."""
    inputs = {"eta": "real", "pt": "real", "systematic": "string", "workingpoint": "string"}

    def pt(shift):
        content = [0.9 + shift, 1.05 + shift]
        return {"nodetype": "binning", "input": "pt", "edges": [300, 500, 1200], "content": content, "flow": "error"}

    data = _category(
        "systematic",
        {k: _category("workingpoint", {"0p5": pt(s)}) for k, s in (("nom", 0), ("up", 0.1), ("down", -0.1))},
    )
    eta = {"nodetype": "binning", "input": "eta", "edges": [-2.5, 2.5], "content": [data], "flow": "error"}
    return _write(path, _correction("Net_Top", inputs, eta))
