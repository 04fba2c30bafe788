"""Parameters of a notebook: what its tagged cell declares, what a caller gives, the cell that carries it in.

A notebook declares its parameters as papermill does: one code cell tagged ``parameters`` that holds nothing
but literal assignments. Values given from outside are checked against those defaults and written into a new
cell behind it, tagged ``injected-parameters``. They get there as the ``repr`` of plain values, so a text can
never become code.
"""

from __future__ import annotations

import ast
import io
import json
import math
import re
import tokenize
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from econsat.errors import ParameterError, ReportError

__all__ = ["Parameter", "declared", "inject", "parse", "validate"]

Value = bool | int | float | str | list[Any] | None

_TYPES: dict[str, type] = {"bool": bool, "int": int, "float": float, "str": str, "list": list}
_WORDS: dict[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    list: "a list",
}
_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")
# A value of such a name would be printed in the report's header and code.
_SECRET = re.compile(r"token|passw(or)?d|secret|credential|api_?key", re.IGNORECASE)


@dataclass(frozen=True)
class Parameter:
    """One declared parameter.

    Attributes
    ----------
    name : str
        Name of the variable.
    default : bool, int, float, str, list or None
        Value in the notebook.
    kind : type
        What a given value must be. A default of None takes a text unless an annotation says otherwise
        (``year: int | None = None``).
    note : str
        The comment on the line, without the hash.
    """

    name: str
    default: Value
    kind: type
    note: str = ""

    @property
    def optional(self) -> bool:
        """Whether None is an allowed value."""
        return self.default is None


def declared(nb: Mapping[str, Any]) -> dict[str, Parameter]:
    """Read the parameters that a notebook declares.

    Parameters
    ----------
    nb : mapping
        A notebook, version 4, as nbformat reads it.

    Returns
    -------
    dict of str to Parameter
        In the notebook's order; empty for a notebook without a cell tagged ``parameters``.

    Raises
    ------
    ReportError
        If several cells are tagged, or the cell holds anything but literal assignments.

    Examples
    --------
    >>> cell = {"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": "region = 'world'"}
    >>> declared({"cells": [cell]})["region"].default
    'world'
    """
    cells = [cell for cell in nb["cells"] if _tagged(cell, "parameters")]
    if not cells:
        return {}
    if len(cells) > 1:
        raise ReportError(f"{len(cells)} cells of the notebook are tagged 'parameters'; there may be one.")
    source = _text(cells[0]["source"])
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise ReportError(f"The notebook's cell tagged 'parameters' is not valid Python: {error}.") from error
    notes = _comments(source)
    found: dict[str, Parameter] = {}
    for node in tree.body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        name, default, annotation = _assignment(node)
        found[name] = Parameter(name, default, _kind(name, default, annotation), notes.get(node.end_lineno or 0, ""))
    return found


def parse(texts: Iterable[str], known: Mapping[str, Parameter]) -> dict[str, Value]:
    """Turn ``key=value`` texts of a command line into values of the declared types.

    Parameters
    ----------
    texts : iterable of str
        Such as ``["region=BDI", "floor=0.2", 'codes=["BDI", "KEN"]']``. A list is written as JSON.
    known : mapping
        What `declared` returned.

    Returns
    -------
    dict of str to value

    Raises
    ------
    ParameterError
        If a text has no ``=``, a name is unknown or given twice, or a value is not of the declared type.

    Examples
    --------
    >>> parse(["floor=0.2"], {"floor": Parameter("floor", 0.15, float)})
    {'floor': 0.2}
    """
    values: dict[str, Value] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or not name:
            raise ParameterError(f"{text!r} is not a parameter: write it as name=value.")
        if name in values:
            raise ParameterError(f"Parameter {name!r} is given twice.")
        values[name] = _convert(value, _look_up(name, known))
    return values


def validate(given: Mapping[str, Any], known: Mapping[str, Parameter]) -> dict[str, Value]:
    """Check values against the declared parameters.

    Parameters
    ----------
    given : mapping
        Values by name. A tuple counts as a list, a whole number as a float where a float is declared; nothing
        else is converted.
    known : mapping
        What `declared` returned.

    Returns
    -------
    dict of str to value
        Plain values, safe to write into a cell.

    Raises
    ------
    ParameterError
        If a name is unknown, names a secret, or a value is not of the declared type.

    Examples
    --------
    >>> validate({"floor": 1}, {"floor": Parameter("floor", 0.15, float)})
    {'floor': 1.0}
    """
    return {name: _check(value, _look_up(name, known)) for name, value in given.items()}


def inject(nb: Any, values: Mapping[str, Value]) -> int | None:
    """Write checked values into a new cell behind the one tagged ``parameters``.

    Parameters
    ----------
    nb : notebook
        Changed in place. A cell injected by an earlier run is replaced.
    values : mapping
        What `validate` returned.

    Returns
    -------
    int or None
        Position of the new cell; None when there is nothing to write.

    Examples
    --------
    >>> from nbformat.v4 import new_code_cell, new_notebook
    >>> nb = new_notebook(cells=[new_code_cell("n = 1", metadata={"tags": ["parameters"]})])
    >>> inject(nb, {"n": 2})
    1
    >>> nb.cells[1].source
    'n = 2'
    """
    from nbformat.v4 import new_code_cell

    nb.cells = [cell for cell in nb.cells if not _tagged(cell, "injected-parameters")]
    if not values:
        return None
    position = next(i for i, cell in enumerate(nb.cells) if _tagged(cell, "parameters")) + 1
    source = "\n".join(f"{name} = {value!r}" for name, value in values.items())
    nb.cells.insert(position, new_code_cell(source, metadata={"tags": ["injected-parameters"]}))  # type: ignore[no-untyped-call]
    return position


def _tagged(cell: Mapping[str, Any], tag: str) -> bool:
    return cell["cell_type"] == "code" and tag in cell.get("metadata", {}).get("tags", ())


def _text(source: str | list[str]) -> str:
    return source if isinstance(source, str) else "".join(source)


def _comments(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {t.start[0]: t.string.lstrip("# ").strip() for t in tokens if t.type == tokenize.COMMENT}


def _assignment(node: ast.stmt) -> tuple[str, Value, ast.expr | None]:
    annotation = None
    target: ast.expr | None = None
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target = node.targets[0]
    elif isinstance(node, ast.AnnAssign) and node.value is not None:
        target, annotation = node.target, node.annotation
    if not isinstance(target, ast.Name):
        raise ReportError(
            f"Line {node.lineno} of the notebook's cell tagged 'parameters' is not of the form name = value."
        )
    try:
        default = ast.literal_eval(node.value)  # type: ignore[attr-defined]
    except ValueError as error:
        raise ReportError(
            f"The default of parameter {target.id!r} is computed; "
            "it must be written out: a number, text, list, True, False or None."
        ) from error
    return target.id, list(default) if isinstance(default, tuple) else default, annotation


def _kind(name: str, default: Value, annotation: ast.expr | None) -> type:
    names = [n.id for n in ast.walk(annotation) if isinstance(n, ast.Name)] if annotation is not None else []
    kinds = [_TYPES[n] for n in names if n in _TYPES]
    if default is None:
        return kinds[0] if kinds else str
    if type(default) not in _WORDS:
        raise ReportError(
            f"The default of parameter {name!r} is a {type(default).__name__}; "
            "a parameter is a number, text, list, True, False or None."
        )
    return float if isinstance(default, int) and float in kinds else type(default)


def _look_up(name: str, known: Mapping[str, Parameter]) -> Parameter:
    if _SECRET.search(name):
        raise ParameterError(
            f"Parameter {name!r} looks like a secret. Parameters are printed in the report: "
            "pass credentials through the environment instead."
        )
    if name in known:
        return known[name]
    if not known:
        raise ParameterError(f"Unknown parameter {name!r}: this notebook takes none.")
    close = get_close_matches(name, known, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise ParameterError(f"Unknown parameter {name!r}.{hint} This notebook takes: {', '.join(known)}.")


def _wrong(parameter: Parameter, value: object) -> ParameterError:
    expected = _WORDS[parameter.kind] + (" or nothing" if parameter.optional else "")
    hint = ', written as JSON such as ["a", "b"]' if parameter.kind is list and isinstance(value, str) else ""
    return ParameterError(
        f"Parameter {parameter.name!r} must be {expected} ({parameter.kind.__name__}){hint}; "
        f"the default is {parameter.default!r}, seen was {value!r}."
    )


def _convert(text: str, parameter: Parameter) -> Value:
    if parameter.optional and text == "":
        return None
    word = text.strip().lower()
    try:
        if parameter.kind is bool:
            if word not in _TRUE + _FALSE:
                raise _wrong(parameter, text)
            return word in _TRUE
        if parameter.kind is list:
            return _check(json.loads(text), parameter)
        return _check(parameter.kind(text), parameter)
    except ParameterError:
        raise
    except ValueError as error:
        raise _wrong(parameter, text) from error


def _check(value: Any, parameter: Parameter) -> Value:
    if value is None:
        if parameter.optional:
            return None
        raise _wrong(parameter, value)
    if isinstance(value, tuple):
        value = list(value)
    if parameter.kind is float and type(value) is int:
        value = float(value)
    # bool is an int to Python, but not to somebody who reads `floor = True` in a report.
    if type(value) is not parameter.kind or not _plain(value):
        raise _wrong(parameter, value)
    if isinstance(value, list) and isinstance(parameter.default, list) and parameter.default:
        kinds = {type(item) for item in parameter.default}
        if {type(item) for item in value} - kinds:
            names = ", ".join(sorted(kind.__name__ for kind in kinds))
            raise ParameterError(f"Parameter {parameter.name!r} must be a list of {names}; seen was {value!r}.")
    return value  # type: ignore[no-any-return]


def _plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(_plain(item) for item in value)
    # repr() of these two is no Python literal.
    if isinstance(value, float) and not math.isfinite(value):
        return False
    return value is None or type(value) in (bool, int, float, str)
