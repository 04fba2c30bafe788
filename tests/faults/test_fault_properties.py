"""Whatever goes wrong, in whatever order, over whatever window: the result is the truth, or says where it is not."""

from __future__ import annotations

import tempfile
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from fault_world import BOUNDS, PATIENCE, ROOT, SHAPE, A, B, World, truth, write_scenes
from hypothesis import HealthCheck, given, settings, strategies as st
from odc.geo.geobox import GeoBox

import econsat
from econsat.access import Cache
from econsat.errors import EconsatError
from econsat.testing import Fault

_ACCESS = replace(PATIENCE, retries=1, backoff=0.0, timeout=2.0, connect=2.0, total=20.0)
_HTML = b"<html>log in</html>"

# Everything that a server, a proxy or a link may do to an answer, bytes of compressed tiles included. Of the header
# only what does not put other, valid numbers into it: those no reader can know, unless the item states a checksum.
_ANYWHERE = st.one_of(
    st.sampled_from([400, 401, 403, 404, 408, 412, 416, 429, 500, 502, 503, 504]).map(lambda n: {"status": n}),
    st.integers(0, 40_000).map(lambda n: {"cut": n}),
    st.integers(0, 40_000).map(lambda n: {"truncate": n}),
    st.integers(-5_000, 5_000).map(lambda n: {"length": n}),
    st.integers(-40_000, 40_000).map(lambda n: {"shift": n}),
    st.sampled_from(["before", "after"]).map(lambda when: {"reset": when}),
    st.sampled_from(
        [
            {"gzip": True},
            {"ignore_range": True},
            {"body": b""},
            {"body": _HTML},
            {"etag": "new"},
            {"hang": 700},
            {"redirect": A},
            {"redirect": B + "/none"},
            {"headers": {"Content-Range": None}},
            {"headers": {"Content-Range": "bytes 0-99/100"}},
            {"headers": {"Content-Length": None}},
            {"headers": {"ETag": None, "Last-Modified": None}},
            {},
        ]
    ),
)
_IN_TILES = st.one_of(
    _ANYWHERE,
    st.integers(0, 60_000).map(lambda n: {"flip": n}),
    st.integers(0, 60_000).map(lambda n: {"zero_from": n}),
)


def _faults(kinds: Any, **where: int) -> Any:
    return st.builds(
        lambda options, times, skip: Fault(times=times, skip=skip, **where, **options),
        kinds,
        st.sampled_from([1, 1, 2, None]),
        st.integers(0, 3),
    )


@st.composite
def _windows(draw: st.DrawFn) -> tuple[slice, slice]:
    spans = []
    for size in SHAPE:
        start = draw(st.integers(0, size - 1))
        spans.append(slice(start, draw(st.integers(start + 1, size))))
    return spans[0], spans[1]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    headers=st.lists(_faults(_ANYWHERE, before=1), max_size=2),
    tiles=st.lists(_faults(_IN_TILES, after=1), max_size=3),
    window=_windows(),
    lazy=st.booleans(),
    record=st.booleans(),
    cached=st.booleans(),
)
def test_never_silently_different(
    headers: list[Fault], tiles: list[Fault], window: tuple[slice, slice], lazy: bool, record: bool, cached: bool
) -> None:
    grid = GeoBox.from_bbox(BOUNDS, "EPSG:32631", shape=SHAPE)[window]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as made, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(made) / "world"
        write_scenes(folder)
        with World(folder) as world:
            access = replace(_ACCESS, cache=Cache(folder=Path(made) / "cache") if cached else None)
            items = econsat.open_catalog(world.url(ROOT), access=access).search()
            world.fail(A, *headers, *tiles)
            for _ in range(2):
                _load_and_compare(items, grid, window, lazy=lazy, record=record, access=access)
            # What was cached while all went wrong is good, and so is what comes when nothing does.
            world.heal()
            failures = _load_and_compare(items, grid, window, lazy=lazy, record=False, access=access, must=True)
            assert failures == []


def _load_and_compare(
    items: Any, grid: GeoBox, window: tuple[slice, slice], *, lazy: bool, record: bool, access: Any, must: bool = False
) -> list[dict[str, Any]]:
    how = {"on_error": "record", "max_failed": 1.0} if record else {}
    said = ""
    try:
        cube = econsat.load(items, like=grid, chunks=100 if lazy else None, access=access, **how)
        values = cube.red.transpose("time", ...).values
    except EconsatError as error:
        said = str(error)
    if said:
        assert not must, said
        assert "item 'a', asset 'red'" in said or "a/red" in said
        return []
    failed = {entry["item"] for entry in cube.attrs["failures"]}
    for name, got in zip("ab", values, strict=True):
        expected = truth(name)[window].astype(got.dtype)
        if name in failed:
            # What failed is missing or true, never another number.
            assert (np.isnan(got) | (got == expected)).all()
        else:
            np.testing.assert_array_equal(got, expected)
    return list(cube.attrs["failures"])
