"""Flags made from a schema."""

from __future__ import annotations

import argparse
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, BeforeValidator, Field

from coffea_equitag import cli
from coffea_equitag.cli import train
from coffea_equitag.cli.schema_flags import add_flags, given_values
from coffea_equitag.training.run_config import RunConfig


class Schema(BaseModel):
    number: int | None = Field(default=None, description="a number (default: the paper's)")
    share: float = Field(default=0.5, gt=0, description="100% of nothing")
    names: tuple[str, ...] = Field(default=("a", "b"), description="names")
    either: float | tuple[str, ...] = Field(default=0.1, description="either")
    table: dict[int, str] | str = Field(default="label", description="table")
    choice: Literal["32", "bf16"] = Field(default="32", description="choice")
    wanted: bool = Field(default=False, description="wanted")
    text: str | None = Field(default=None, description="text")
    words: Annotated[tuple[str, ...], BeforeValidator(lambda given: [given] if isinstance(given, str) else given)] = ()
    few: Literal["all"] | tuple[float, ...] | None = None


def parsed(*words: str) -> dict[str, object]:
    parser = argparse.ArgumentParser()
    add_flags(parser, Schema)
    return given_values(parser.parse_args(words), Schema)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), {}),
        (("--number", "12"), {"number": 12}),
        (("--number", "null"), {"number": None}),
        (("--share", "1e-3"), {"share": "1e-3"}),  # YAML 1.1 reads text; pydantic reads the number
        (("--names", "x, y"), {"names": ["x", "y"]}),
        (("--names", "[x, y]"), {"names": ["x", "y"]}),
        (("--either", "0.2"), {"either": 0.2}),
        (("--table", "{5: b, 4: c}"), {"table": {5: "b", 4: "c"}}),
        (("--table", "flavour"), {"table": "flavour"}),
        (("--choice", "bf16"), {"choice": "bf16"}),
        (("--choice", "32"), {"choice": "32"}),
        (("--wanted",), {"wanted": True}),
        (("--no-wanted",), {"wanted": False}),
        (("--text", "12"), {"text": "12"}),
        (("--text", "x, y"), {"text": "x, y"}),
        (("--words", "x, y.0"), {"words": ["x", "y.0"]}),  # though one word stands for a list of it
        (("--words", "x"), {"words": ["x"]}),
        (("--few", "all"), {"few": "all"}),
        (("--few", "1, 2"), {"few": ["1", "2"]}),
        (("--number", "many"), {"number": "many"}),  # for the schema to refuse
    ],
)
def test_values(words, expected):
    assert parsed(*words) == expected


def test_values_are_those_of_the_schema():
    assert Schema(**parsed("--share", "1e-3", "--names", "x,y")) == Schema(share=1e-3, names=("x", "y"))


def test_help_is_the_description(capsys):
    with pytest.raises(SystemExit):
        parsed("--help")
    told = " ".join(capsys.readouterr().out.split())
    assert "a number (default: the paper's)" in told
    assert "100% of nothing (default: 0.5)" in told
    assert "names (default: a b)" in told


def test_other_choices_are_refused(capsys):
    with pytest.raises(SystemExit):
        parsed("--choice", "64")
    assert "invalid choice" in capsys.readouterr().err


def test_every_key_and_every_command_has_one_heading(capsys):
    keys = [name for names in train.GROUPS.values() for name in names]
    assert sorted(keys) == sorted(set(RunConfig.model_fields) - {"model", "data", "output", "options"})
    commands = [name for names in cli.GROUPS.values() for name in names]
    assert sorted(commands) == sorted(cli.COMMANDS)
    with pytest.raises(SystemExit):
        cli.main(["train", "--help"])
    shown = capsys.readouterr().out
    assert all(f"\n{heading}:\n" in shown for heading in train.GROUPS)
    cli.main([])
    shown = capsys.readouterr().out
    assert all(f"\n{heading}:\n" in shown for heading in cli.GROUPS)
    assert all(f"\n  {name} " in shown for name in cli.COMMANDS)
