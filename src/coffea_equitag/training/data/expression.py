"""Cuts and formulas on columns of jets, from a string: ``"pt > 200 & |eta| < 2"``. Nothing in it is executed."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterator
from functools import reduce
from typing import Any

import numpy as np

from ...array_types import AnyArray, Bools
from ...errors import JetError, explain

__all__ = ["FUNCTIONS", "Expression"]

#: Functions that an expression may call.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": np.abs,
    "sqrt": np.sqrt,
    "log": np.log,
    "log10": np.log10,
    "exp": np.exp,
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
    "cosh": np.cosh,
    "min": lambda *values: reduce(np.minimum, values),
    "max": lambda *values: reduce(np.maximum, values),
    "where": np.where,
    "isfinite": np.isfinite,
}

_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: np.mod,
    # whole numbers to a negative power are an error in NumPy, and large ones wrap
    ast.Pow: lambda base, power: np.asarray(base, np.float64) ** power,
    ast.USub: lambda value: -_number(value),
    ast.UAdd: lambda value: value,
    ast.Not: lambda value: ~_boolean(value),
    ast.And: operator.and_,
    ast.Or: operator.or_,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.In: lambda value, several: np.isin(value, several),
    ast.NotIn: lambda value, several: ~np.isin(value, several),
}

_TOKEN = re.compile(
    r"\s*(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
    r"|\s*(?P<name>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)"
    r"|\s*(?P<sign>\*\*|<=|>=|==|!=|&&|\|\||[-+*/%<>()\[\],&|~!])"
)

_WORDS = {"&": "and", "&&": "and", "||": "or", "~": "not", "!": "not"}

#: After these an operand is expected, and a bar opens an absolute value.
_BEFORE_OPERANDS = {"and", "or", "not", "in"}

_LONGEST = 10_000

#: Larger numbers are no floats.
_LARGEST = 10**300


class Expression:
    """A formula of the columns of jets.

    Numbers, names of columns, ``+ - * / % **``, comparisons (also chained, ``200 < pt < 500``, and ``in (4, 5)``),
    the functions of `FUNCTIONS`, ``|x|`` for the absolute value, and ``& | ~`` (or ``and or not``, ``&& || !``), which
    bind less than comparisons do: ``pt > 200 & eta < 2`` means what it says.

    Parameters
    ----------
    text : str
        The formula.

    Raises
    ------
    JetError
        If it is not such a formula.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            if len(text) > _LONGEST:
                raise SyntaxError(f"it has {len(text)} characters")
            self._tree = ast.parse(" ".join(_python(text)), mode="eval").body
            self.names = tuple(dict.fromkeys(_names(self._tree)))
        except (SyntaxError, RecursionError, MemoryError) as error:
            raise JetError(
                explain(
                    f"the expression {text!r}: {getattr(error, 'msg', None) or 'too deep'}",
                    'a formula of columns of the jets, e.g. "pt > 200 & |eta| < 2"',
                    f"use names of columns, numbers, + - * / ** < <= == & | ~ and {', '.join(FUNCTIONS)}",
                )
            ) from error

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"

    def __call__(self, column: Callable[[str], AnyArray], number: int) -> AnyArray:
        """Its value for each jet.

        Parameters
        ----------
        column : callable
            Name -> column, shape (J,).
        number : int
            Number of jets J, for expressions without columns.
        """
        try:
            with np.errstate(all="ignore"):  # log(0), 0/0: infinite or NaN, as IEEE says
                return np.broadcast_to(np.asarray(_evaluate(self._tree, column)), (number,))
        except TypeError as error:  # a function with another number of arguments
            raise JetError(
                explain(f"the expression {self.text!r}: {error}", "functions with their arguments", "correct it")
            ) from error

    def boolean(self, column: Callable[[str], AnyArray], number: int) -> Bools:
        """Its value as a decision for each jet.

        Raises
        ------
        JetError
            If it is a number other than 0 and 1.
        """
        values = self(column, number)
        if values.dtype != np.bool_ and not np.isin(values, (0, 1)).all():
            raise JetError(
                explain(
                    f"the selection {self.text!r} gives numbers",
                    "true or false for each jet",
                    f"compare it with something, e.g. {self.text} > 0",
                )
            )
        return _boolean(values)


def _python(text: str) -> Iterator[str]:
    """The same in Python's words and precedence.

    Raises
    ------
    SyntaxError
        For characters that no formula has.
    """
    place, operand, bars = 0, True, [0]
    while place < len(text.rstrip()):
        match = _TOKEN.match(text, place)
        if match is None:
            raise SyntaxError(f"{text[place:].split()[0]!r} is not understood")
        place, token = match.end(), match.group().strip()
        if token == "||" and (operand or bars[-1]):  # two bars of absolute values, or one and "or"
            place, token = place - 1, "|"
        if token == "|" and operand:
            bars[-1] += 1
            yield "abs("
        elif token == "|" and bars[-1]:
            bars[-1] -= 1
            yield ")"
        else:
            bars = [*bars, 0] if token in "([" else bars[:-1] or [0] if token in ")]" else bars
            token = "or" if token == "|" else _WORDS.get(token, token)
            operand = token in _BEFORE_OPERANDS or (match["sign"] is not None and token not in (")", "]"))
            yield token


def _names(node: ast.AST) -> Iterator[str]:
    """Columns that are read.

    Raises
    ------
    SyntaxError
        For anything but a formula.
    """
    match node:
        case ast.Name() | ast.Attribute():
            yield ast.unparse(node)
            return
        case ast.Constant(value=bool() | int() | float() as value) if abs(value) < _LARGEST:
            return
        case ast.Call(func=ast.Name(id=function), keywords=[]) if function in FUNCTIONS:
            children = node.args
        case ast.BoolOp():
            children = node.values
        case ast.UnaryOp() if type(node.op) in _OPERATORS:
            children = [node.operand]
        case ast.BinOp() if type(node.op) in _OPERATORS:
            children = [node.left, node.right]
        case ast.Compare() if all(type(op) in _OPERATORS for op in node.ops):
            pairs = zip(node.ops, node.comparators, strict=True)
            children = [node.left, *(side for op, side in pairs if not _is_list(op, side))]
        case _:
            raise SyntaxError(f"{ast.unparse(node)!r} is not possible")
    for child in children:
        yield from _names(child)


def _is_list(op: ast.AST, side: ast.AST) -> bool:
    """Whether this side of a comparison is the list of numbers of `in`."""
    if not isinstance(op, ast.In | ast.NotIn):
        return False
    if not isinstance(side, ast.Tuple | ast.List) or any(list(_names(one)) for one in side.elts):
        raise SyntaxError(f"{ast.unparse(side)} is not a list of numbers")
    return True


def _evaluate(node: ast.AST, column: Callable[[str], AnyArray]) -> Any:
    def value(child: ast.AST) -> Any:
        return _evaluate(child, column)

    match node:
        case ast.Constant(value=bool() | int() | float() as number):
            return number if abs(number) < 2**63 else float(number)
        case ast.Name() | ast.Attribute():
            return column(ast.unparse(node))
        case ast.Tuple() | ast.List():
            return [value(one) for one in node.elts]
        case ast.Call():
            assert isinstance(node.func, ast.Name)  # checked by _names
            return FUNCTIONS[node.func.id](*map(value, node.args))
        case ast.UnaryOp():
            return _OPERATORS[type(node.op)](value(node.operand))
        case ast.BinOp():
            return _OPERATORS[type(node.op)](_number(value(node.left)), _number(value(node.right)))
        case ast.BoolOp():
            return reduce(_OPERATORS[type(node.op)], [_boolean(value(one)) for one in node.values])
        case ast.Compare():
            sides = [value(one) for one in (node.left, *node.comparators)]
            steps = zip(node.ops, sides[:-1], sides[1:], strict=True)
            return reduce(operator.and_, [_OPERATORS[type(op)](left, right) for op, left, right in steps])
    raise AssertionError(ast.dump(node))


def _boolean(value: Any) -> Bools:
    decisions: Bools = np.asarray(value) != 0
    return decisions


def _number(value: Any) -> Any:
    """True as 1: NumPy subtracts no booleans."""
    return np.asarray(value).astype(np.int64) if np.asarray(value).dtype == np.bool_ else np.asarray(value)
