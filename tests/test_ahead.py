"""Tiles that are fetched ahead: in order, within bounds, and never in the way of who reads."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from econsat.access import Access
from econsat.errors import AccessError
from econsat.stac._geotiff.ahead import Ahead
from econsat.stac.cube import load
from econsat.testing import Fault, FaultServer, make_item, make_raster


@dataclass
class _Part:
    name: str
    size: int = 10

    def ranges(self) -> list[tuple[int, int]]:
        return [(0, self.size)]


class _Raster:
    """Stands in for a file: it notes what was fetched."""

    def __init__(self) -> None:
        self.fetched: list[str] = []

    def key(self, part: _Part) -> str:
        return part.name

    def fetch(self, part: _Part) -> Any:
        self.fetched.append(part.name)
        if part.name == "broken":
            raise AccessError("no", kind="status")
        return {(0, part.size): part.name.encode()}, True


def _at_once(work: Any, part: Any) -> Future[Any]:
    future: Future[Any] = Future()
    try:
        future.set_result(work(part))
    except AccessError as error:
        future.set_exception(error)
    return future


def _ahead(raster: _Raster, names: str, **options: Any) -> Ahead:
    return Ahead(((raster, _Part(name)) for name in names.split()), submit=_at_once, **options)  # type: ignore[misc]


def test_it_fetches_in_order_as_far_as_there_is_room() -> None:
    raster = _Raster()
    ahead = _ahead(raster, "a b c d", max_bytes=25)
    assert raster.fetched == ["a", "b"]
    assert ahead.take("a") == ({(0, 10): b"a"}, True)
    assert raster.fetched == ["a", "b", "c"]


def test_one_that_is_larger_than_the_room_is_fetched_when_nothing_else_is_held() -> None:
    raster = _Raster()
    ahead = _ahead(raster, "a b", max_bytes=5)
    assert raster.fetched == ["a"]
    ahead.take("a")
    assert raster.fetched == ["a", "b"]


def test_who_overtakes_reads_for_himself_and_it_is_not_fetched_again() -> None:
    raster = _Raster()
    ahead = _ahead(raster, "a b c", max_bytes=10)
    assert ahead.take("b") is None
    assert ahead.take("a") is not None
    assert raster.fetched == ["a", "c"]


def test_what_is_wanted_twice_is_fetched_twice() -> None:
    raster = _Raster()
    ahead = _ahead(raster, "a a", max_bytes=100)
    assert ahead.take("a") == ahead.take("a")
    assert ahead.take("a") is None
    assert raster.fetched == ["a", "a"]


def test_an_error_comes_to_whom_it_concerns_and_the_others_go_on() -> None:
    raster = _Raster()
    ahead = _ahead(raster, "broken b", max_bytes=10)
    with pytest.raises(AccessError, match="no"):
        ahead.take("broken")
    assert ahead.take("b") is not None


def test_after_the_end_nothing_more_is_fetched() -> None:
    started, go = threading.Event(), threading.Event()
    fetched: list[str] = []

    class Slow(_Raster):
        def fetch(self, part: _Part) -> Any:
            started.set()
            go.wait(10)
            fetched.append(part.name)
            return {}, True

    with ThreadPoolExecutor(1) as pool:
        ahead = Ahead(((Slow(), _Part(name)) for name in "abc"), submit=pool.submit)  # type: ignore[misc]
        assert started.wait(10)
        ahead.close()
        go.set()
    assert fetched == ["a"]
    assert ahead.take("b") is None


@pytest.mark.parametrize("workers", [1, 2, None])
def test_a_load_asks_for_no_byte_more_than_without(tmp_path: Path, workers: int | None) -> None:
    draw = np.random.default_rng(3)
    scenes = [draw.integers(1, 60_000, (600, 700)).astype("uint16") for _ in range(6)]
    bounds = (500_000, 0, 507_000, 6_000)
    for i, pixels in enumerate(scenes):
        make_raster(tmp_path / f"{i}.tif", pixels, crs="EPSG:32631", bounds=bounds, nodata=0, blocksize=256)
    with FaultServer(tmp_path) as server:
        items = [
            make_item(str(i), assets={"red": server.url(f"/{i}.tif")}, datetime=f"2024-01-{i + 1:02d}T10:00:00Z")
            for i in range(len(scenes))
        ]
        cube = load(items, chunks=None, groupby="id", workers=workers, access=Access())
        assert server.sent.total() <= sum(path.stat().st_size for path in tmp_path.glob("*.tif")) + 16_384 * len(scenes)
        tiles = [(path, start, stop) for path, start, stop in server.ranges if start >= 16_384]
        assert len(tiles) == len(set(tiles))
    np.testing.assert_array_equal(cube.red.values, np.stack(scenes))


def test_a_scene_that_breaks_off_is_recorded_and_the_others_are_whole(tmp_path: Path) -> None:
    pixels = np.random.default_rng(4).integers(1, 60_000, (600, 700)).astype("uint16")
    bounds = (500_000, 0, 507_000, 6_000)
    for i in range(4):
        make_raster(tmp_path / f"{i}.tif", pixels + i, crs="EPSG:32631", bounds=bounds, nodata=0, blocksize=256)
    with FaultServer(tmp_path) as server:
        server.fail("/2.tif", Fault(status=404, after=16_384, times=None))
        items = [
            make_item(str(i), assets={"red": server.url(f"/{i}.tif")}, datetime=f"2024-01-{i + 1:02d}T10:00:00Z")
            for i in range(4)
        ]
        cube = load(items, chunks=None, groupby="id", on_error="record", max_failed=0.5, access=Access())
    assert [failure["item"] for failure in cube.attrs["failures"]] == ["2"]
    assert cube.red.isnull().all(("y", "x")).values.tolist() == [False, False, True, False]
    np.testing.assert_array_equal(cube.red.values[3], pixels + 3)
