"""CQL2 filters for static catalogs: parsed by `cql2`, evaluated here, refused where not understood.

The logic has three values, as in SQL: a comparison with a property that an item lacks is unknown, and an item
is kept only where the whole is true. Source: OGC 21-065r2, Common Query Language (CQL2).
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from econsat.errors import CatalogError

__all__ = ["check", "matches", "parse"]

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_SUPPORTED = (*_COMPARE, "and", "or", "not", "in", "between", "isNull", "like")
# Arguments of each operator, 2 where it is not named here, 0 for any number of them.
_COUNTS = {"and": 0, "or": 0, "not": 1, "isNull": 1, "between": 3}
# Parts of a STAC item that stand outside its properties.
_TOP = {"id", "collection"}


def parse(text_or_json: str | Mapping[str, Any]) -> dict[str, Any]:
    """Return a filter as CQL2 JSON, checked for what can be evaluated.

    Raises
    ------
    CatalogError
        The text is not CQL2.

    Examples
    --------
    >>> parse("platform = 'landsat-7'")["op"]
    '='
    """
    import cql2

    try:
        if isinstance(text_or_json, str):
            expression = cql2.parse_text(text_or_json)
        else:
            import json

            expression = cql2.parse_json(json.dumps(text_or_json))
        value = expression.to_json()
    except Exception as error:
        raise CatalogError(f"the filter {text_or_json!r:.300} is not CQL2: {_brief(error)}") from error
    if not isinstance(value, dict):
        raise CatalogError(f"the filter {text_or_json!r:.300} is not a condition")
    return value


def check(node: Any) -> None:
    """Refuse a filter that `matches` could not evaluate, whatever the items hold.

    Raises
    ------
    CatalogError
        An operator or function is not among those supported.

    Examples
    --------
    >>> check(parse("platform = 'landsat-7'"))
    >>> check(parse("S_INTERSECTS(geometry, POINT(1 2))"))
    Traceback (most recent call last):
        ...
    econsat.errors.CatalogError: the filter's 's_intersects' cannot be evaluated in a static catalog: ...
    """
    if isinstance(node, Mapping):
        if "op" in node and str(node["op"]) not in _SUPPORTED:
            raise _unsupported(str(node["op"]))
        if not {"op", "property", "timestamp", "date"} & set(node):
            raise _unsupported(str(node.get("function", next(iter(node), "{}"))))
        args = node.get("args", [])
        if "op" in node:
            _check_count(str(node["op"]), args)
        for arg in args:
            check(arg)
    elif isinstance(node, (list, tuple)):
        for each in node:
            check(each)


def _check_count(op: str, args: Sequence[Any]) -> None:
    number = _COUNTS.get(op, 2)
    if number and len(args) != number:
        raise CatalogError(f"the filter's {op!r} has {len(args)} argument(s), not {number}")
    if not args:
        raise CatalogError(f"the filter's {op!r} has no arguments")
    if op == "in" and not isinstance(args[1], (list, tuple)):
        raise CatalogError(f"the filter's 'in' needs a list of choices, not {args[1]!r}")


def _unsupported(what: str) -> CatalogError:
    return CatalogError(
        f"the filter's {what!r} cannot be evaluated in a static catalog: use {', '.join(_SUPPORTED)}, and `region` or "
        "`period` for place and time"
    )


def _brief(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]


def matches(expression: Mapping[str, Any], item: Mapping[str, Any]) -> bool:
    """Say whether an item satisfies a filter.

    Parameters
    ----------
    expression : mapping
        CQL2 JSON, as `parse` returns it.
    item : mapping
        A STAC item as a dict.

    Raises
    ------
    CatalogError
        An operator, function or comparison cannot be evaluated here.

    Examples
    --------
    >>> item = {"id": "a", "properties": {"eo:cloud_cover": 5.0}}
    >>> matches(parse("eo:cloud_cover < 10 AND missing IS NULL"), item)
    True
    >>> matches(parse("missing < 10"), item), matches(parse("NOT missing < 10"), item)
    (False, False)
    """
    return _truth(expression, item) is True


def _truth(node: Any, item: Mapping[str, Any]) -> bool | None:
    if isinstance(node, bool) or node is None:
        return node
    if not isinstance(node, Mapping) or "op" not in node:
        value = _value(node, item)
        if value is None or isinstance(value, bool):
            return value
        raise CatalogError(f"the filter uses {node!r} as a condition, but it is {value!r}")
    op, args = str(node["op"]), list(node.get("args", []))
    if op in ("and", "or"):
        return _join(op, [_truth(arg, item) for arg in args])
    if op == "not":
        inner = _truth(args[0], item)
        return None if inner is None else not inner
    if op == "isNull":
        return _value(args[0], item) is None
    if op in _COMPARE or op in ("in", "between", "like"):
        return _compare(op, args, item)
    raise _unsupported(op)


def _join(op: str, values: Sequence[bool | None]) -> bool | None:
    decisive = op == "or"
    if decisive in values:
        return decisive
    return None if None in values else not decisive


def _compare(op: str, args: Sequence[Any], item: Mapping[str, Any]) -> bool | None:
    left = _value(args[0], item)
    if left is None:
        return None
    if op == "in":
        return _join("or", [_pair("=", left, _value(choice, item)) for choice in args[1]])
    if op == "between":
        low, high = (_value(arg, item) for arg in args[1:3])
        return _join("and", [_pair(">=", left, low), _pair("<=", left, high)])
    right = _value(args[1], item)
    return _pair(op, left, right)


def _pair(op: str, left: Any, right: Any) -> bool | None:
    if left is None or right is None:
        return None
    if op == "like":
        if not isinstance(left, str) or not isinstance(right, str):
            raise CatalogError(f"the filter's LIKE needs text on both sides, not {left!r} and {right!r}")
        return re.fullmatch(_like(right), left, flags=re.DOTALL) is not None
    if isinstance(left, datetime) or isinstance(right, datetime):
        left, right = _instant(left), _instant(right)
    numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in (left, right))
    if not numbers and type(left) is not type(right):
        raise CatalogError(
            f"the filter compares {left!r} ({type(left).__name__}) with {right!r} ({type(right).__name__}): "
            "quote text, do not quote numbers"
        )
    if isinstance(left, (bool, list, dict)) and op not in ("=", "<>"):
        raise CatalogError(f"the filter's operator {op!r} does not apply to {left!r}")
    return bool(_COMPARE[op](left, right))


def _like(pattern: str) -> str:
    """Return a regular expression for a CQL2 pattern: % any run, _ any one character, backslash escapes."""
    out, escaped = "", False
    for character in pattern:
        if escaped or character not in "%_\\":
            out, escaped = out + re.escape(character), False
        elif character == "\\":
            escaped = True
        else:
            out += ".*" if character == "%" else "."
    return out


def _instant(value: Any) -> datetime:
    try:
        parsed = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise CatalogError(f"the filter compares a time with {value!r}, which is not one") from None
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed


def _value(node: Any, item: Mapping[str, Any]) -> Any:
    if not isinstance(node, Mapping):
        return node
    if "property" in node:
        return _property(str(node["property"]), item)
    if "timestamp" in node:
        return _instant(node["timestamp"])
    if "date" in node:
        try:
            day = date.fromisoformat(str(node["date"]))
        except ValueError:
            raise CatalogError(f"the filter compares a date with {node['date']!r}, which is not one") from None
        return datetime(day.year, day.month, day.day, tzinfo=UTC)
    if "op" in node and (node["op"] in _COMPARE or node["op"] in ("and", "or", "not", "isNull")):
        return _truth(node, item)
    raise _unsupported(str(node.get("op", node.get("function", next(iter(node), "{}")))))


def _property(name: str, item: Mapping[str, Any]) -> Any:
    if name in _TOP:
        return item.get(name)
    properties = item.get("properties") or {}
    if name in properties:
        return properties[name]
    return properties.get(name.removeprefix("properties."))
