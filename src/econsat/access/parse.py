"""JSON and XML of strangers, read within limits: of size, of depth, of digits, and without any entity."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from econsat.access.policy import Policy
from econsat.access.redact import brief
from econsat.errors import CatalogError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["parse_json", "parse_xml"]

# The largest float has 309 digits before the point; nobody writes more to say something.
_MAX_DIGITS = 400
_LONG_NUMBER = re.compile(rb"[0-9]{%d}" % (_MAX_DIGITS + 1))
# Each value takes some 60 bytes of memory however short it is written: 64 MiB of "[]," would take more than 1 GB.
_MAX_VALUES = 10_000_000
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS = bytes(set(range(256)) - set(b'[]{}"'))


def parse_json(content: bytes, where: str, *, policy: Policy | None = None) -> dict[str, Any]:
    """Return the JSON object that came from somewhere, or raise a `CatalogError` that says what came instead.

    Size and depth are measured before anything is parsed.

    Parameters
    ----------
    content : bytes
        The document, UTF-8.
    where : str
        Its address or path, fit for a message.
    policy : Policy, optional
        Its `max_json_bytes` and `max_json_depth` hold.

    Returns
    -------
    dict

    Raises
    ------
    CatalogError
        It is too long, nests too deeply, holds a number of more than 400 digits, more than 10 million values or half a
        character, is not JSON, or is JSON but no object.

    Examples
    --------
    >>> parse_json(b'{"id": "a"}', "a.json")
    {'id': 'a'}
    >>> parse_json(b"<html>log in</html>", "a.json")
    Traceback (most recent call last):
        ...
    econsat.errors.CatalogError: a.json is an HTML or XML page, not STAC JSON (a login or an error page?): ...
    """
    policy = policy or Policy()
    _no_longer(len(content), where, policy, "max_json_bytes")
    if sum(map(content.count, (b",", b"[", b"{"))) > _MAX_VALUES:
        raise CatalogError(f"{where} holds more than {_MAX_VALUES:,} values: it is not read")
    if _deeper(content, policy.max_json_depth):
        _too_deep(where, policy, "max_json_depth")
    text = content.decode("utf-8-sig", errors="replace")
    try:
        # Only what has such a number in it pays for looking at each.
        if _LONG_NUMBER.search(content):
            value = json.loads(text, parse_int=_number(int), parse_float=_number(float))
        else:
            value = json.loads(text)
    except RecursionError:
        _too_deep(where, policy, "max_json_depth")
    except json.JSONDecodeError as error:
        start = text.lstrip()[:256].lower()
        if start.startswith("<"):
            raise CatalogError(
                f"{where} is an HTML or XML page, not STAC JSON (a login or an error page?): it begins {start[:60]!r}"
            ) from None
        raise CatalogError(
            f"{where} is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from None
    except ValueError as error:
        raise CatalogError(f"{where} is not STAC JSON: {brief(error)}") from None
    if not isinstance(value, dict):
        raise CatalogError(f"{where} holds a JSON {type(value).__name__}, not a STAC object")
    if _HALF.search(content) and _is_halved(value):
        raise CatalogError(f"{where} is not STAC JSON: it holds half a character (a lone surrogate)")
    return value


def _is_halved(value: object) -> bool:
    # Escapes may say what no text can hold: it could be neither written, nor shown, nor put into a table.
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def _number(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    def read(digits: str) -> Any:
        if len(digits) > _MAX_DIGITS:
            raise ValueError(f"a number in it has {len(digits):,} digits, more than {_MAX_DIGITS}")
        return kind(digits)

    return read


def _deeper(content: bytes, limit: int) -> bool:
    """Say whether JSON nests deeper than a limit, from its brackets outside of strings alone."""
    if b"\\" in content:
        content = content.replace(b"\\\\", b"").replace(b'\\"', b"")
    brackets = b"".join(content.translate(None, _NOT_BRACKETS).split(b'"')[::2]).translate(_BRACKETS)
    # Each round takes the innermost level away.
    for _ in range(limit):
        fewer = brackets.replace(b"[]", b"")
        if len(fewer) == len(brackets):
            break
        brackets = fewer
    # What never closes is not JSON, but a parser would climb into it all the same.
    return b"[]" in brackets or brackets.count(b"[") > limit


def parse_xml(content: bytes, where: str, *, policy: Policy | None = None) -> Element:
    """Return the root of an XML document without DTD, entities or references to anything else.

    Parameters
    ----------
    content : bytes
        The document.
    where : str
        Its address or path, fit for a message.
    policy : Policy, optional
        Its `max_xml_bytes` and `max_xml_depth` hold.

    Returns
    -------
    xml.etree.ElementTree.Element

    Raises
    ------
    CatalogError
        It is too long, nests too deeply, has a document type or an entity, or is not XML.

    Examples
    --------
    >>> parse_xml(b"<a><b>1</b></a>", "a.xml").findtext("b")
    '1'
    >>> parse_xml(b"<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>", "a.xml")
    Traceback (most recent call last):
        ...
    econsat.errors.CatalogError: a.xml is refused: it has a document type (DTD), through which XML ...
    """
    from xml.etree.ElementTree import ParseError, TreeBuilder

    from defusedxml.common import DTDForbidden, EntitiesForbidden, ExternalReferenceForbidden
    from defusedxml.ElementTree import DefusedXMLParser

    rules = policy or Policy()
    _no_longer(len(content), where, rules, "max_xml_bytes")
    depth = 0

    class Builder(TreeBuilder):
        def start(self, tag: Any, attrs: Any) -> Any:
            nonlocal depth
            depth += 1
            if depth > rules.max_xml_depth:
                _too_deep(where, rules, "max_xml_depth")
            return super().start(tag, attrs)

        def end(self, tag: Any) -> Any:
            nonlocal depth
            depth -= 1
            return super().end(tag)

    parser = DefusedXMLParser(target=Builder(), forbid_dtd=True, forbid_entities=True, forbid_external=True)
    try:
        parser.feed(content)
        root: Element = parser.close()
    except DTDForbidden:
        raise CatalogError(
            f"{where} is refused: it has a document type (DTD), through which XML can read other files and fill the "
            "memory"
        ) from None
    except (EntitiesForbidden, ExternalReferenceForbidden):
        raise CatalogError(f"{where} is refused: it defines entities or refers to other files") from None
    except (ParseError, ValueError, LookupError) as error:
        if isinstance(error, CatalogError):
            raise
        raise CatalogError(f"{where} is not valid XML: {brief(error)}") from None
    return root


def _no_longer(length: int, where: str, policy: Policy, rule: str) -> None:
    limit = getattr(policy, rule)
    if length > limit:
        size = f"{limit >> 20} MiB" if limit >= 1 << 20 else f"{limit:,} bytes"
        raise CatalogError(
            f"{where} is longer than {size}: it is not read "
            f"(it has {length:,} bytes; pass access=Access(policy=Policy({rule}=...)) to permit it)"
        )


def _too_deep(where: str, policy: Policy, rule: str) -> NoReturn:
    raise CatalogError(
        f"{where} nests too deeply to be STAC: more than {getattr(policy, rule)} levels "
        f"(pass access=Access(policy=Policy({rule}=...)) to permit it)"
    ) from None
