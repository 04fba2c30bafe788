"""What a load would cost: estimates that bracket the truth and ask for nothing, counts that are exact."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pystac
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from shapely.geometry import box

import econsat
from econsat.access import Access
from econsat.access.links import LINKS, Link
from econsat.errors import (
    EmptySearchError,
    GridError,
    OutOfBoundsError,
    ParameterError,
    UnknownBandError,
)
from econsat.stac._plan import plan
from econsat.testing import FaultServer, make_item, make_raster

_UTM = {"crs": "EPSG:32631", "bounds": (500_000.0, 4_990_000.0, 520_000.0, 5_010_000.0)}
_FIELDS = {
    "proj:code": "EPSG:32631",
    "proj:shape": [10980, 10980],
    "proj:transform": [10.0, 0.0, 500_000.0, 0.0, -10.0, 5_000_000.0],
    "bands": [{"data_type": "uint16"}],
}
_AROUND = box(3.05, 45.05, 3.10, 45.09)


def _remote(name: str = "s2", *, properties: dict[str, Any] | None = None, **fields: Any) -> pystac.Item:
    kept = {key: value for key, value in {**_FIELDS, **fields}.items() if value is not None}
    href = f"https://example.org/{name}.tif"
    return make_item(name, assets={"red": href}, asset_fields={"red": kept}, properties=properties)


def _real(samples: Path, name: str) -> list[pystac.Item]:
    body = json.loads((samples / "stac_items" / name).read_text())
    items = [pystac.Item.from_dict(each) for each in body.get("features", [body])]
    for item in items:
        item.set_self_href(f"https://example.org/{item.id}.json")
    return items


class TestEstimate:
    def test_grid_type_and_size_make_an_estimate(self) -> None:
        cost = plan(_remote(), region=_AROUND)
        rows, columns = 447, 396
        # A window of that many pixels meets at most 2 x 2 tiles of 512.
        assert cost.requests in (2, 3)
        assert 512 * 512 * 2 <= cost.bytes - 16_384 <= 4 * 512 * 512 * 2
        assert not cost.exact
        assert cost.pixels is not None
        assert cost.memory == 4 * cost.pixels
        assert math.isclose(cost.pixels, rows * columns, rel_tol=0.05)
        assert "proj:shape and proj:transform" in cost.table.how[0]
        assert "512 x 512" in cost.table.how[0]
        assert "uncompressed" in cost.table.how[0]

    def test_file_size_tells_how_well_it_is_compressed(self) -> None:
        raw = 10980 * 10980 * 2 * 4 / 3
        half = plan(_remote(**{"file:size": int(raw / 2)}), region=_AROUND)
        plain = plan(_remote(), region=_AROUND)
        assert math.isclose((half.bytes - 16_384) * 2, plain.bytes - 16_384, rel_tol=0.01)
        assert "file:size" in half.table.how[0]

    def test_the_file_size_is_the_upper_bound(self) -> None:
        cost = plan(_remote(**{"file:size": 90_000_000}))
        assert cost.bytes <= cost.bytes_upper < 90_000_000 * 1.01

    @pytest.mark.parametrize(
        "code",
        [
            {"proj:code": "EPSG:32631"},
            {"proj:code": None, "proj:epsg": 32631},
            {"proj:code": None, "proj:wkt2": "wkt"},
            {"proj:code": None, "proj:projjson": "json"},
        ],
    )
    def test_all_versions_of_the_projection_extension_mean_the_same(self, code: dict[str, Any]) -> None:
        import pyproj

        crs = pyproj.CRS("EPSG:32631")
        code = {k: crs.to_wkt() if v == "wkt" else crs.to_json_dict() if v == "json" else v for k, v in code.items()}
        want, got = plan(_remote(), region=_AROUND), plan(_remote(**code), region=_AROUND)
        assert (got.requests, got.bytes, got.bytes_upper) == (want.requests, want.bytes, want.bytes_upper)

    def test_projection_at_the_item_counts_as_well(self) -> None:
        whole = {key: value for key, value in _FIELDS.items() if key.startswith("proj:")}
        item = _remote(properties=whole, **dict.fromkeys(whole))
        assert plan(item, region=_AROUND).bytes == plan(_remote(), region=_AROUND).bytes

    def test_raster_bands_tell_the_type(self) -> None:
        one = plan(_remote(bands=None, **{"raster:bands": [{"data_type": "float64"}]}))
        assert math.isclose(one.bytes / plan(_remote()).bytes, 4, rel_tol=0.01)
        assert one.memory == 8 * one.pixels
        assert "float64" in one.table.how[0]

    def test_what_is_not_stated_is_assumed_and_said(self) -> None:
        cost = plan(_remote(bands=None))
        assert "data type not stated" in cost.table.how[0]
        assert cost.bytes == plan(_remote()).bytes
        # Doubles would be four times as many.
        assert cost.bytes_upper >= 4 * cost.bytes

    def test_extent_and_resolution_stand_in_for_a_grid(self) -> None:
        bbox = [500_000.0, 4_890_200.0, 609_800.0, 5_000_000.0]
        fields = {"proj:transform": None, "proj:shape": None, "proj:bbox": bbox}
        cost = plan(_remote(**fields, gsd=10), region=_AROUND)
        assert cost.bytes == plan(_remote(), region=_AROUND).bytes
        assert "proj:bbox and gsd" in cost.table.how[0]
        shaped = plan(_remote(**{**fields, "proj:shape": [10980, 10980]}), region=_AROUND)
        assert shaped.bytes == cost.bytes
        assert "proj:shape and proj:bbox" in shaped.table.how[0]

    def test_longitudes_and_gsd_make_up_a_grid(self) -> None:
        bare = {"proj:code": None, "proj:transform": None, "proj:shape": None}
        item = _remote(**bare, gsd=10)
        item.bbox = [3.0, 44.1, 4.4, 45.2]
        cost = plan(item, region=_AROUND)
        want = plan(_remote(), region=_AROUND)
        assert "made up" in cost.table.how[0]
        assert 0.5 < cost.bytes / want.bytes < 2
        assert cost.bytes_upper is not None

    def test_nothing_known_is_said_and_not_guessed(self) -> None:
        bare = {"proj:code": None, "proj:transform": None, "proj:shape": None}
        cost = plan([_remote(**bare), _remote("b")], region=_AROUND)
        assert cost.bytes_upper is None
        assert cost.seconds_upper is None
        assert "1 of 2 files of unknown size" in str(cost)
        assert 'headers="read"' in cost.table.how[0]
        sized = plan(_remote(**bare, **{"file:size": 5_000_000}))
        assert (sized.bytes, sized.bytes_upper) == (5_000_000, 5_000_000)
        assert sized.bytes_lower <= 16_384
        assert sized.pixels is None
        assert sized.memory is None
        json.dumps(cost.to_dict(), allow_nan=False)

    @pytest.mark.parametrize(
        "fields",
        [
            {"proj:shape": "nonsense"},
            {"proj:shape": [float("nan"), 5]},
            {"proj:transform": [0, 0, 0, 0, 0, 0]},
            {"proj:transform": ["a"] * 6},
            {"proj:bbox": [1, 2], "proj:shape": None},
            {"proj:bbox": "x", "proj:shape": None},
            {"file:size": -5},
            {"file:size": True},
            {"file:size": "many"},
            {"file:header_size": float("inf")},
            {"gsd": -10, "proj:shape": None},
            {"bands": [{"data_type": "complex_int16"}]},
            {"bands": "red"},
            {"raster:bands": [None]},
        ],
    )
    def test_nonsense_in_metadata_is_as_good_as_nothing(self, fields: dict[str, Any]) -> None:
        cost = plan(_remote(**fields))
        assert cost.requests >= 1
        assert cost.bytes_lower <= cost.bytes
        assert cost.bytes_upper is None or cost.bytes <= cost.bytes_upper

    def test_a_header_of_stated_length(self) -> None:
        cost = plan(_remote(**{"file:header_size": 50_000}), region=_AROUND)
        assert cost.table.header_requests[0] == 2
        assert cost.bytes - plan(_remote(), region=_AROUND).bytes == 50_000 - 16_384

    def test_levels_show_what_coarser_pixels_cost(self) -> None:
        levels = plan(_remote()).levels
        assert levels.factor.tolist() == [1, 2, 4, 8, 16, 32]
        np.testing.assert_allclose(levels.resolution, 10.0 * levels.factor, rtol=0.01)
        assert (np.diff(levels.bytes) < 0).all()
        assert (np.diff(levels.seconds) < 0).all()
        assert (np.diff(levels.bytes_upper) <= 0).all()
        assert (np.diff(levels.requests) <= 0).all()

    def test_a_grid_of_ones_own_stays_at_every_level(self) -> None:
        cost = plan(_remote(), region=_AROUND, resolution=50)
        assert cost.pixels == plan(_remote(), region=_AROUND, resolution=50).pixels
        assert cost.levels.resolution.tolist()[:3] == [10.0, 20.0, 40.0]

    def test_bands_of_one_file_share_their_tiles(self) -> None:
        names = [{"name": n, "data_type": "uint8"} for n in "rgb"]
        item = make_item(
            "a", assets={"rgb": "https://example.org/a.tif"}, asset_fields={"rgb": {**_FIELDS, "bands": names}}
        )
        one, all_three = plan(item, "r"), plan(item)
        assert (one.requests, one.bytes) == (all_three.requests, all_three.bytes)
        assert len(all_three.table) == 1
        assert all_three.pixels == 3 * one.pixels

    def test_it_asks_nobody(self, tmp_path: Path) -> None:
        make_raster(tmp_path / "a.tif", np.ones((600, 600), "uint16"), **_UTM)
        item = make_item("a", assets={"red": tmp_path / "a.tif"})
        called: list[str] = []

        def sign(href: str) -> str:
            called.append(href)
            return href

        with FaultServer(tmp_path) as server:
            item.assets["red"].href = server.url("/a.tif")
            cost = plan(item, patch_url=sign)
            assert server.count.total() == 0
        assert cost.bytes > 0
        assert called == []

    @settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        height=st.integers(1, 5000),
        width=st.integers(1, 5000),
        dtype=st.sampled_from(["uint8", "int16", "float32", "float64", None]),
        size=st.none() | st.integers(0, 10**8),
        corner=st.tuples(st.floats(0, 0.9), st.floats(0, 0.9)),
        span=st.floats(0.01, 1),
    )
    def test_bounds_hold_the_estimate(
        self, height: int, width: int, dtype: str | None, size: int | None, corner: tuple[float, float], span: float
    ) -> None:
        fields = {
            "proj:shape": [height, width],
            "bands": [{"data_type": dtype}] if dtype else None,
            **({"file:size": size} if size is not None else {}),
        }
        west, north = 500_000 + corner[0] * width * 10, 5_000_000 - corner[1] * height * 10
        region = _polygon(west, north - span * height * 10, west + span * width * 10, north)
        cost = plan(_remote(**fields), region=region)
        assert 0 <= cost.bytes_lower <= cost.bytes <= cost.bytes_upper
        assert cost.levels.bytes[0] == cost.bytes == cost.table.bytes.sum()

    @settings(deadline=None, max_examples=25)
    @given(height=st.integers(1, 20_000), width=st.integers(1, 20_000), size=st.none() | st.integers(10**5, 10**9))
    def test_coarser_never_costs_more(self, height: int, width: int, size: int | None) -> None:
        # Of the whole picture: a window may meet a smaller part of a tile than of the one above it.
        levels = plan(_remote(**{"proj:shape": [height, width], "file:size": size})).levels
        for column in ("bytes", "bytes_upper", "requests", "seconds"):
            assert (np.diff(levels[column]) <= 1e-9).all()


def _polygon(west: float, south: float, east: float, north: float) -> Any:
    return gpd.GeoDataFrame(geometry=[box(west, south, east, north)], crs="EPSG:32631").to_crs("EPSG:4326")


class TestRealItems:
    @pytest.mark.parametrize(
        "name",
        [
            "odc-stac__S2A_28QCH_20200714_0_L2A.json",
            "odc-stac__S2B_MSIL2A_20190629T212529_R043_T06VVN_20201006T080531.json",
            "odc-stac__S2B_MSIL2A_20190629T212529_R043_T06VVN_20201006T080531_raster_ext.json",
        ],
    )
    def test_sentinel_2(self, samples: Path, name: str) -> None:
        items = _real(samples, name)
        cost = plan(items, "B04")
        assert cost.pixels == 10980**2
        # Files of this band of real scenes hold 100 to 250 MB.
        assert cost.bytes_lower < 100e6 < cost.bytes < 250e6 < cost.bytes_upper
        with pytest.raises(GridError, match="10 x 10"):
            plan(items, ["B04", "B05"])
        assert plan(items, ["B04", "B05"], resolution=20).levels.factor.tolist() == [1, 2, 4, 8, 16]

    def test_radar_with_its_grid_at_the_item(self, samples: Path) -> None:
        cost = plan(_real(samples, "stactools-sentinel1__S1A_20200103_17RMJ_ASC_rtc.json"), "gamma0_vv")
        assert cost.pixels == 5490**2
        assert "float32" in cost.table.how[0]

    def test_items_that_state_nothing(self, samples: Path) -> None:
        items = _real(samples, "pystac-client__sample-item-collection.json")
        cost = plan(items, ["B02", "B03"])
        assert len(cost.table) == 2 * len(items)
        assert cost.bytes_upper is None
        assert cost.pixels is None


class TestPlaces:
    def test_across_the_antimeridian_are_two_windows_not_the_world(self) -> None:
        tiles = []
        for name, west, north in (("east", 170.0, -10.0), ("west", -180.0, -10.0), ("far", 0.0, 10.0)):
            place = {"proj:shape": [1000, 1000], "proj:transform": [0.01, 0.0, west, 0.0, -0.01, north]}
            tiles.append(_remote(name, **{"proj:code": "EPSG:4326"}, **place))
        sides = [box(177, -19, 180, -15), box(-180, -19, -178, -15)]
        fiji = gpd.GeoDataFrame(geometry=sides, crs="EPSG:4326")
        both = plan(tiles, region=fiji)
        by_item = both.table.set_index("item").bytes
        whole = plan(tiles[0]).bytes
        assert 16_384 < by_item["east"] <= whole
        assert 16_384 < by_item["west"] <= whole
        # Its header is read, as load does; none of its pixels is.
        assert by_item["far"] == 16_384

    def test_outside_the_scenes_is_the_error_of_load(self) -> None:
        with pytest.raises(OutOfBoundsError, match="region lies outside"):
            plan(_remote(), region=box(-60, -30, -59, -29))

    def test_nothing_found_is_the_error_of_load(self) -> None:
        with pytest.raises(EmptySearchError):
            plan([])

    def test_files_on_this_machine_cost_nothing(self, tmp_path: Path) -> None:
        path = make_raster(tmp_path / "a.tif", np.ones((1200, 1200), "uint16"), **_UTM)
        cost = plan(make_item("a", assets={"red": path}))
        assert (cost.requests, cost.bytes, cost.bytes_upper, cost.seconds) == (0, 0, 0, 0.0)
        assert cost.exact
        assert cost.pixels == 1200**2
        assert cost.levels.factor.tolist() == [1, 2, 4]
        assert str(cost) == "0 requests, 0.0 MB, about 0 s on fibre (0.0 MB in the cache)"

    def test_a_dead_file_is_listed(self, tmp_path: Path) -> None:
        path = make_raster(tmp_path / "a.tif", np.ones((12, 12), "uint16"), **_UTM)
        items = [make_item("a", assets={"red": path}), make_item("b", assets={"red": tmp_path / "no.tif"})]
        cost = plan(items)
        assert [(f["item"], f["asset"]) for f in cost.failures] == [("b", "red")]
        assert "1 of 2 files cannot be read" in str(cost)
        assert cost.table.how.tolist()[1].startswith("cannot be read")

    def test_a_forbidden_address_is_listed(self) -> None:
        item = _remote()
        item.assets["red"].href = "https://user:secret@example.org/a.tif?sig=hidden"
        cost = plan(item)
        assert len(cost.failures) == 1
        for text in (str(cost), cost._repr_html_(), json.dumps(cost.to_dict())):
            assert "secret" not in text
            assert "hidden" not in text

    def test_black_marble_files_count_whole(self) -> None:
        name = "VNP46A3.A2020001.h21v09.001.2021125141415.h5"
        made = [
            make_item(f"m{n}", assets={"data": f"https://example.org/{n}/{name}"}, properties=said)
            for n, said in enumerate(({"econsat:size": 7_000_000}, {}))
        ]
        one, both = plan(made[0]), plan(made)
        assert (one.requests, one.bytes, one.bytes_upper, one.exact) == (1, 7_000_000, 7_000_000, True)
        assert both.requests == 2
        assert both.bytes == 7_000_000
        assert both.bytes_upper is None
        with pytest.raises(ParameterError, match="no Black Marble file"):
            plan([made[0], _remote()])


class TestPlan:
    def test_seconds_are_the_links(self) -> None:
        fast, slow = plan(_remote(), link="fibre"), plan(_remote(), link="vsat")
        assert slow.seconds > fast.seconds
        assert (slow.link, fast.link) == ("vsat", "fibre")
        own = plan(_remote(), link={"latency": "1 s", "bandwidth": "8 Mbit/s"})
        want = Link("custom", 1.0, 8e6).seconds(own.requests, own.bytes, rounds=2)
        assert own.seconds == want
        assert own.link == "custom"
        assert plan(_remote(), access=Access(link=LINKS["vsat"])).link == "vsat"

    def test_it_shows_itself(self) -> None:
        item = _remote("<script>alert(1)</script>")
        cost = plan(item)
        page = cost._repr_html_()
        assert "<script>" not in page
        assert "&lt;script&gt;" in page
        assert str(cost) in page.replace("&quot;", '"')
        line = str(cost)
        assert line.startswith(f"{cost.requests} requests, ")
        assert " on fibre (0.0 MB in the cache)" in line
        assert "at most" in line
        assert "\n" not in line

    def test_it_is_plain_values_and_cannot_be_changed(self) -> None:
        cost = plan(_remote())
        told = json.loads(json.dumps(cost.to_dict(), allow_nan=False))
        assert told["bytes"] == cost.bytes
        assert told["table"][0]["item"] == "s2"
        assert [level["factor"] for level in told["levels"]] == cost.levels.factor.tolist()
        with pytest.raises(AttributeError):
            cost.bytes = 0  # type: ignore[misc]

    def test_addresses_are_unsigned(self) -> None:
        item = _remote()
        item.assets["red"].href += "?sig=hidden&se=2026"
        assert plan(item).table.href[0] == "https://example.org/s2.tif"

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"headers": "guess"}, "headers="),
            ({"headers": None}, "headers="),
            ({"link": "carrier pigeon"}, "fibre.*starlink.*vsat"),
            ({"link": 5}, "link"),
            ({"link": {"latency": "1 s"}}, "bandwidth"),
            ({"access": "open"}, "access="),
            ({"resampling": "guess"}, "resampling="),
            ({"groupby": 5}, "groupby="),
            ({"workers": 0}, "workers="),
            ({"drivers": "VRT"}, "drivers="),
            ({"resolution": -1}, "resolution="),
            ({"crs": "nowhere"}, "crs="),
            ({"like": 5}, "like="),
        ],
    )
    def test_bad_arguments(self, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(ParameterError, match=message):
            plan(_remote(), **arguments)

    def test_bad_items_and_bands(self) -> None:
        with pytest.raises(ParameterError, match="items="):
            plan(5)  # type: ignore[arg-type]
        with pytest.raises(UnknownBandError, match="red"):
            plan(_remote(), "read")

    def test_it_has_a_name_of_its_own(self) -> None:
        assert econsat.plan is plan
