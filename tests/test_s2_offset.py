"""Whether an offset is in the pixels: what catalogs say, what pixels say, and who has the last word."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest

from econsat import load
from econsat.errors import ParameterError, SuspectDataWarning
from econsat.stac.radiometry import Radiometry, band_radiometry, check_pixels, overruled, to_physical
from econsat.testing import make_item, make_raster

_NODATA = {"data_type": "uint16", "nodata": 0}
_OFFSET = {**_NODATA, "scale": 1e-4, "offset": -0.1}
# The same band in the shapes of three catalogs: key, name, what is stated.
_EARTH_SEARCH: dict[str, Any] = {"asset": "red", "collection": "sentinel-2-l2a", "band": _OFFSET}
_PLANETARY: dict[str, Any] = {"asset": "B04", "collection": "sentinel-2-l2a", "band": _NODATA}


def _item(case: dict[str, Any], **properties: Any) -> tuple[pystac.Item, str]:
    fields = {case["asset"]: {"raster:bands": [case["band"]], "eo:bands": [{"name": "red", "common_name": "red"}]}}
    assets = {case["asset"]: "https://example.org/B04.tif"}
    stated = {"platform": "sentinel-2a", **properties}
    item = make_item("scene", assets=assets, asset_fields=fields, properties=stated, collection=case["collection"])
    return item, case["asset"]


def _ground(kind: str = "land", *, seed: int = 7, side: int = 128) -> Any:
    """Return reflectances of a plausible scene, 0..1."""
    rng = np.random.default_rng(seed)
    shape = (side, side)
    if kind == "water":
        return rng.normal(0.015, 0.006, shape)
    if kind == "desert":
        return rng.normal(0.32, 0.04, shape)
    dark = rng.normal(0.03, 0.01, shape)
    return np.where(rng.random(shape) < 0.5, dark, rng.normal(0.12, 0.05, shape)).clip(0.0005, None)


def _stored(ground: Any, *, offset: bool) -> Any:
    """Return digital numbers; the offset is in the pixels where the ground segment put it and nobody took it off."""
    dn = np.round(np.asarray(ground) * 10_000) + (1000 if offset else 0)
    return dn.clip(1, 65535).astype("uint16")


class TestGoldenValues:
    """0.15 is 1500 before 25 January 2022 and 2500 after it."""

    @pytest.mark.parametrize(
        ("case", "properties", "dn"),
        [
            (_PLANETARY, {"datetime": "2022-01-24T00:00:00Z", "s2:processing_baseline": "03.01"}, 1500),
            (_PLANETARY, {"s2:processing_baseline": "04.00"}, 2500),
            (_PLANETARY, {"s2:processing_baseline": "05.11"}, 2500),
            # Reprocessed: the date is before, the baseline after.
            (_PLANETARY, {"datetime": "2019-06-29T00:00:00Z", "s2:processing_baseline": "05.00"}, 2500),
            (_EARTH_SEARCH, {"s2:processing_baseline": "05.09", "earthsearch:boa_offset_applied": True}, 1500),
            (_EARTH_SEARCH, {"s2:processing_baseline": "05.09", "earthsearch:boa_offset_applied": False}, 2500),
            (
                {**_EARTH_SEARCH, "band": {**_OFFSET, "offset": 0}},
                {"s2:processing_baseline": "03.01", "earthsearch:boa_offset_applied": False},
                1500,
            ),
        ],
    )
    def test_of_one_ground(self, case: dict[str, Any], properties: dict[str, Any], dn: int) -> None:
        properties = {k: v for k, v in properties.items() if k != "datetime"}
        item, asset = _item(case, **properties)
        out = to_physical(np.array([0, dn], "uint16"), band_radiometry(item, asset))
        assert np.isnan(out[0])
        assert out[1] == pytest.approx(0.15, abs=1e-7)


class TestPixels:
    @pytest.mark.parametrize("kind", ["land", "water", "desert"])
    @pytest.mark.parametrize("baseline", ["03.01", "05.09"])
    def test_honest_items_are_silent(self, kind: str, baseline: str) -> None:
        item, asset = _item(_PLANETARY, **{"s2:processing_baseline": baseline})
        stored = _stored(_ground(kind), offset=baseline == "05.09")
        assert check_pixels(stored, band_radiometry(item, asset)) is None

    @pytest.mark.parametrize("kind", ["land", "water", "desert"])
    def test_an_honest_flag_is_silent(self, kind: str) -> None:
        item, asset = _item(
            _EARTH_SEARCH, **{"s2:processing_baseline": "05.09", "earthsearch:boa_offset_applied": True}
        )
        assert check_pixels(_stored(_ground(kind), offset=False), band_radiometry(item, asset)) is None

    @pytest.mark.parametrize("kind", ["land", "water"])
    def test_a_flag_that_denies_what_was_done(self, kind: str) -> None:
        properties = {"s2:processing_baseline": "05.09", "earthsearch:boa_offset_applied": False}
        item, asset = _item(_EARTH_SEARCH, **properties)
        radiometry = band_radiometry(item, asset)
        found = check_pixels(_stored(_ground(kind), offset=False), radiometry, where="item 'scene', asset 'red'")
        assert found is not None
        assert found.kind == "offset taken off"
        assert found.share > 0.2
        assert found.text.startswith("item 'scene', asset 'red': an offset of -0.1 is applied")

    @pytest.mark.parametrize("kind", ["land", "water"])
    def test_a_flag_that_claims_what_was_not_done(self, kind: str) -> None:
        properties = {"s2:processing_baseline": "05.09", "earthsearch:boa_offset_applied": True}
        item, asset = _item(_EARTH_SEARCH, **properties)
        found = check_pixels(_stored(_ground(kind), offset=True), band_radiometry(item, asset))
        assert found is not None
        assert found.kind == "offset still in"
        assert "earthsearch:boa_offset_applied" in found.text

    def test_a_harmonised_catalog_without_a_flag(self) -> None:
        # Baseline 05.09 and no offset stated, as of a mirror that took it off: the pixels tell.
        item, asset = _item(_PLANETARY, **{"s2:processing_baseline": "05.09"})
        found = check_pixels(_stored(_ground(), offset=False), band_radiometry(item, asset))
        assert found is not None
        assert found.kind == "offset taken off"

    # How far pixels can tell: mean reflectance and noise, and what is said where the offset is rightly in them, where
    # it is in them and denied, and where it was taken off and is applied again.
    @pytest.mark.parametrize(
        ("mean", "noise", "right", "denied", "twice"),
        [
            (0.03, 0.006, None, "offset still in", "offset taken off"),
            (0.003, 0.003, None, None, "offset taken off"),
            # Darker than its own noise: told of, though all is well.
            (0.001, 0.002, "offset taken off", None, "offset taken off"),
            (-0.002, 0.003, "offset taken off", None, "offset taken off"),
            # Without a dark pixel nothing can be told.
            (0.30, 0.06, None, None, None),
            (0.60, 0.10, None, None, None),
            (0.85, 0.08, None, None, None),
        ],
    )
    def test_how_far_pixels_can_tell(
        self, mean: float, noise: float, right: str | None, denied: str | None, twice: str | None
    ) -> None:
        ground = np.random.default_rng(1).normal(mean, noise, (256, 256))
        late = {"s2:processing_baseline": "05.09"}
        applied = band_radiometry(*_item(_PLANETARY, **late))
        taken = band_radiometry(*_item(_EARTH_SEARCH, **late, **{"earthsearch:boa_offset_applied": True}))
        cases = ((True, applied, right), (True, taken, denied), (False, applied, twice), (False, taken, None))
        for offset, radiometry, says in cases:
            found = check_pixels(_stored(ground, offset=offset), radiometry)
            assert (found and found.kind) == says

    def test_before_baseline_4_nothing_is_in_doubt(self) -> None:
        item, asset = _item(_PLANETARY, **{"s2:processing_baseline": "03.01"})
        radiometry = band_radiometry(item, asset)
        assert not radiometry.offset_in_doubt
        assert check_pixels(_stored(_ground(), offset=True), radiometry) is None

    def test_fill_is_no_evidence(self) -> None:
        item, asset = _item(_PLANETARY, **{"s2:processing_baseline": "05.09"})
        stored = _stored(_ground(), offset=True)
        stored[:, 20:] = 0
        assert check_pixels(stored, band_radiometry(item, asset)) is None

    def test_few_pixels_are_no_evidence(self) -> None:
        item, asset = _item(_PLANETARY, **{"s2:processing_baseline": "05.09"})
        radiometry = band_radiometry(item, asset)
        stored = _stored(_ground(side=31), offset=False)
        assert check_pixels(stored, radiometry) is None
        assert check_pixels(np.zeros((0, 0), "uint16"), radiometry) is None
        assert check_pixels(np.zeros((64, 64), "uint16"), radiometry) is None

    def test_a_sample_of_a_large_window_says_the_same(self) -> None:
        item, asset = _item(_PLANETARY, **{"s2:processing_baseline": "05.09"})
        radiometry = band_radiometry(item, asset)
        found = check_pixels(_stored(_ground(side=1024), offset=False), radiometry)
        assert found is not None
        assert found.pixels < 2**18
        assert check_pixels(_stored(_ground(side=1024), offset=True), radiometry) is None

    @pytest.mark.parametrize("asset", ["SCL", "AOT", "WVP", "visual"])
    def test_other_layers_are_not_looked_at(self, asset: str) -> None:
        item, _ = _item({**_PLANETARY, "asset": asset}, **{"s2:processing_baseline": "05.09"})
        item.assets[asset].extra_fields.pop("eo:bands")
        assert not band_radiometry(item, asset).offset_in_doubt

    def test_the_text_is_the_same_for_all_windows(self) -> None:
        # Python shows a warning of one text once.
        item, asset = _item(_PLANETARY, **{"s2:processing_baseline": "05.09"})
        radiometry = band_radiometry(item, asset)
        texts = {check_pixels(_stored(_ground(seed=n), offset=False), radiometry).text for n in range(4)}  # type: ignore[union-attr]
        assert len(texts) == 1


class TestLastWord:
    def test_is_the_callers(self) -> None:
        item, asset = _item(_PLANETARY, **{"s2:processing_baseline": "05.09"})
        found = band_radiometry(item, asset)
        used = overruled(found, lambda item, variable, r: replace(r, offset=0.0), item=item, variable="red")
        assert (used.offset, used.offset_from) == (0.0, "the argument radiometry=")
        assert "baseline 05.09" in used.notes[-1]
        stored = _stored(_ground(), offset=False)
        assert check_pixels(stored, found) is not None
        assert check_pixels(stored, used) is None

    def test_may_differ_by_item_and_band(self) -> None:
        item, asset = _item(_PLANETARY, **{"s2:processing_baseline": "05.09"})
        found = band_radiometry(item, asset)
        seen = []

        def rule(item: pystac.Item, variable: str, r: Radiometry) -> Radiometry:
            seen.append((item.id, variable))
            return r

        assert overruled(found, rule, item=item, variable="red") == found
        assert seen == [("scene", "red")]

    @pytest.mark.parametrize("rule", [{"offset": 0.0}, lambda item, variable, r: 0.0])
    def test_must_be_a_radiometry(self, rule: Any) -> None:
        item, asset = _item(_PLANETARY, **{"s2:processing_baseline": "05.09"})
        with pytest.raises(ParameterError, match="radiometry="):
            overruled(band_radiometry(item, asset), rule, item=item, variable="red")


class TestRtc:
    def _item(self, **band: Any) -> pystac.Item:
        fields = {"vv": {"raster:bands": [{"data_type": "float32", "nodata": -32768, **band}]}}
        return make_item(
            "s", assets={"vv": "https://example.org/vv.tif"}, asset_fields=fields, collection="sentinel-1-rtc"
        )

    def test_zero_is_missing_too(self) -> None:
        out = to_physical(np.array([0.0, -32768.0, 0.02], "float32"), band_radiometry(self._item(), "vv"))
        np.testing.assert_array_equal(np.isfinite(out), [False, False, True])

    def test_without_a_stated_fill(self) -> None:
        item = make_item(
            "s",
            assets={"vv": "https://example.org/vv.tif"},
            asset_fields={"vv": {"data_type": "float32"}},
            collection="sentinel-1-rtc",
        )
        radiometry = band_radiometry(item, "vv")
        assert (radiometry.nodata, radiometry.also_nodata) == (-32768.0, (0.0,))

    def test_a_scene_of_zeros_is_reported(self) -> None:
        radiometry = band_radiometry(self._item(), "vv")
        found = check_pixels(np.zeros((64, 64), "float32"), radiometry, where="item 's', asset 'vv'")
        assert found is not None
        assert (found.kind, found.share) == ("zeros", 1.0)
        some = np.full((64, 64), 0.02, "float32")
        some[:20] = 0.0
        assert check_pixels(some, radiometry) is None

    def test_the_argument_nodata_has_the_last_word(self) -> None:
        radiometry = band_radiometry(self._item(), "vv", nodata=-32768)
        assert radiometry.also_nodata == ()
        assert check_pixels(np.zeros((64, 64), "float32"), radiometry) is None

    def test_other_collections_keep_their_zeros(self) -> None:
        item = make_item(
            "s",
            assets={"vv": "https://example.org/vv.tif"},
            asset_fields={"vv": {"data_type": "float32", "nodata": -32768}},
            collection="lights",
        )
        assert band_radiometry(item, "vv").also_nodata == ()


class TestLandsat:
    def _radiometry(self, asset: str, **band: Any) -> Radiometry:
        item = make_item(
            "s",
            assets={asset: "https://example.org/b.tif"},
            asset_fields={asset: {"raster:bands": [{"data_type": "uint16", **band}]}},
            properties={"landsat:correction": "L2SP", "landsat:collection_number": "02", "platform": "landsat-9"},
            collection="landsat-c2-l2",
        )
        return band_radiometry(item, asset)

    @pytest.mark.parametrize(
        ("asset", "dn", "value"),
        # Product guide: SR = DN * 0.0000275 - 0.2; ST = DN * 0.00341802 + 149.0 K; the valid ranges' ends.
        [("red", 7273, 7.5e-06), ("red", 43636, 0.99999), ("lwir11", 293, 150.00148), ("lwir11", 61440, 359.00315)],
    )
    def test_golden_values(self, asset: str, dn: int, value: float) -> None:
        out = to_physical(np.array([0, dn], "uint16"), self._radiometry(asset))
        assert np.isnan(out[0])
        assert out[1] == pytest.approx(value, rel=1e-5, abs=1e-7)

    def test_quality_has_a_fill_of_its_own(self) -> None:
        radiometry = self._radiometry("qa_pixel")
        assert (radiometry.nodata, radiometry.scale) == (1.0, 1.0)
        out = to_physical(np.array([1, 21824], "uint16"), radiometry)
        np.testing.assert_array_equal(out, [np.nan, 21824.0])


class TestLoad:
    """The check is part of load, and nothing is changed in silence."""

    _BOUNDS = (300_000, 5_700_000, 301_280, 5_701_280)

    def _scene(
        self, folder: Path, stored: Any, *, collection: str = "sentinel-2-l2a", **properties: Any
    ) -> pystac.Item:
        path = make_raster(folder / "B04.tif", stored, bounds=self._BOUNDS, crs="EPSG:32631", nodata=0)
        return make_item("scene", assets={"B04": path}, properties=properties, collection=collection)

    def test_an_honest_scene_is_silent(self, tmp_path: Path) -> None:
        ground = _ground()
        item = self._scene(tmp_path, _stored(ground, offset=True), **{"s2:processing_baseline": "05.09"})
        cube = load(item, chunks=None)
        np.testing.assert_allclose(cube.B04.values[0], np.round(ground, 4), atol=1.1e-4)
        assert not [s for s in cube.attrs["provenance"]["steps"] if s["step"] == "check pixels"]

    @pytest.mark.parametrize("chunks", [None, "auto"])
    def test_a_scene_that_lies_is_named(self, tmp_path: Path, chunks: Any) -> None:
        ground = _ground()
        item = self._scene(tmp_path, _stored(ground, offset=False), **{"s2:processing_baseline": "05.09"})
        with pytest.warns(SuspectDataWarning, match=r"item 'scene', asset 'B04': an offset of -0.1 is applied"):
            cube = load(item, chunks=chunks).compute(scheduler="synchronous")
        # Never changed in silence, nor aloud.
        np.testing.assert_allclose(cube.B04.values[0], np.round(ground, 4) - 0.1, atol=1.1e-4)
        if chunks is None:
            (step,) = [s for s in cube.attrs["provenance"]["steps"] if s["step"] == "check pixels"]
            assert (step["item"], step["asset"], step["found"]) == ("scene", "B04", "offset taken off")
            assert step["share"] > 0.5

    def test_the_caller_may_set_it_right(self, tmp_path: Path) -> None:
        ground = _ground()
        item = self._scene(tmp_path, _stored(ground, offset=False), **{"s2:processing_baseline": "05.09"})
        cube = load(item, chunks=None, radiometry=lambda item, band, r: replace(r, offset=0.0))
        np.testing.assert_allclose(cube.B04.values[0], np.round(ground, 4), atol=1.1e-4)
        notes = [s["text"] for s in cube.attrs["provenance"]["steps"] if s["step"] == "note"]
        assert any("radiometry= changed offset from -0.1" in text for text in notes)

    def test_a_flag_that_claims_what_was_not_done(self, tmp_path: Path) -> None:
        properties: dict[str, Any] = {"s2:processing_baseline": "05.09", "earthsearch:boa_offset_applied": True}
        item = self._scene(tmp_path, _stored(_ground(), offset=True), **properties)
        with pytest.warns(SuspectDataWarning, match="still in"):
            load(item, chunks=None)

    def test_a_zero_filled_rtc_scene(self, tmp_path: Path) -> None:
        path = make_raster(
            tmp_path / "vv.tif", np.zeros((128, 128), "float32"), bounds=self._BOUNDS, crs="EPSG:32631", nodata=-32768
        )
        item = make_item("rtc", assets={"vv": path}, collection="sentinel-1-rtc")
        with pytest.warns(SuspectDataWarning, match=r"item 'rtc', asset 'vv'.*zero"):
            cube = load(item, chunks=None)
        assert cube.vv.isnull().all()
        (step,) = [s for s in cube.attrs["provenance"]["steps"] if s["step"] == "check pixels"]
        assert (step["found"], step["share"]) == ("zeros", 1.0)
