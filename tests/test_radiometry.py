"""Digital numbers to physical units: the arithmetic, and what is made of the metadata."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pystac
import pytest

from econsat.errors import RadiometryError
from econsat.stac.radiometry import (
    BandHeader,
    Radiometry,
    band_radiometry,
    offset_already_applied,
    to_physical,
)
from econsat.testing import make_item

_DN = {"data_type": "uint16", "nodata": 0}


def _item(
    asset: str = "b", *, properties: dict[str, Any] | None = None, collection: str = "tests", **fields: Any
) -> pystac.Item:
    return make_item(
        "scene",
        assets={asset: "https://example.org/b.tif"},
        asset_fields={asset: fields},
        properties=properties,
        collection=collection,
    )


def _s2(asset: str = "B04", *, dtype: str = "uint16", **properties: Any) -> tuple[pystac.Item, str]:
    offset = properties.pop("offset", None)
    scale = properties.pop("scale", None)
    band = {"data_type": dtype, "nodata": 0, "offset": offset, "scale": scale}
    fields = {"raster:bands": [{k: v for k, v in band.items() if v is not None}]}
    return _item(asset, properties=properties, collection="sentinel-2-l2a", **fields), asset


class TestArithmetic:
    def test_scale_and_offset_are_applied_once(self) -> None:
        out = to_physical(np.array([1, 10000], "uint16"), Radiometry("uint16", 0.0, 1e-4, -0.1))
        np.testing.assert_array_equal(out, np.array([1e-4 - 0.1, 0.9], "float32"))
        assert out.dtype == "float32"

    def test_fill_is_masked_before_scaling(self) -> None:
        # 5 * 2 - 10 is 0: masking afterwards would take the pixel 5 for fill, and keep the fill as -10.
        out = to_physical(np.array([0, 5, 6], "int16"), Radiometry("int16", 0.0, 2.0, -10.0))
        np.testing.assert_array_equal(out, [np.nan, 0.0, 2.0])

    def test_negative_values_are_kept(self) -> None:
        values = np.array([-0.063, -999.9, 2.0], "float32")
        out = to_physical(values, Radiometry("float32", -999.9))
        np.testing.assert_array_equal(out, np.array([-0.063, np.nan, 2.0], "float32"))

    @pytest.mark.parametrize(
        ("stored", "expected"),
        [
            ("uint8", "float32"),
            ("int16", "float32"),
            ("uint16", "float32"),
            ("float32", "float32"),
            ("float64", "float64"),
            ("int32", "float64"),
            ("uint32", "float64"),
        ],
    )
    def test_type_of_the_result(self, stored: str, expected: str) -> None:
        radiometry = Radiometry(stored)
        assert radiometry.out_dtype == expected
        assert to_physical(np.ones(2, stored), radiometry).dtype == expected

    def test_wide_integers_keep_their_digits(self) -> None:
        n = 2**24 + 1
        assert to_physical(np.array([n], "int32"), Radiometry("int32"))[0] == n

    def test_floats_pass_bit_by_bit(self) -> None:
        values = np.random.default_rng(1).normal(size=1000).astype("float32")
        assert to_physical(values, Radiometry("float32", float("nan"))).tobytes() == values.tobytes()

    def test_input_is_not_written_to(self) -> None:
        values = np.array([0.0, 1.0], "float32")
        to_physical(values, Radiometry("float32", 0.0))
        np.testing.assert_array_equal(values, [0.0, 1.0])

    def test_fill_outside_the_type_masks_nothing(self) -> None:
        np.testing.assert_array_equal(to_physical(np.array([0, 1], "uint8"), Radiometry("uint8", -9999.0)), [0, 1])

    def test_complex_numbers_are_refused(self) -> None:
        with pytest.raises(RadiometryError, match="complex64"):
            to_physical(np.ones(2, "complex64"), Radiometry("complex64"))


class TestMetadata:
    @pytest.mark.parametrize(
        "fields",
        [
            {"bands": [{**_DN, "raster:scale": 0.5, "raster:offset": -1.0, "unit": "K"}]},
            {"raster:bands": [{**_DN, "scale": 0.5, "offset": -1.0, "unit": "K"}]},
            {**_DN, "raster:scale": 0.5, "raster:offset": -1.0, "unit": "K"},
        ],
        ids=["STAC 1.1 bands", "STAC 1.0 raster:bands", "asset"],
    )
    def test_places(self, fields: dict[str, Any]) -> None:
        r = band_radiometry(_item(**fields), "b")
        assert (r.dtype, r.nodata, r.scale, r.offset, r.unit) == ("uint16", 0.0, 0.5, -1.0, "K")

    def test_item_properties(self) -> None:
        item = _item(data_type="uint8", properties={"raster:scale": 3.0, "nodata": 255, "econsat:units": "W"})
        r = band_radiometry(item, "b")
        assert (r.nodata, r.scale, r.unit) == (255.0, 3.0, "W")
        assert r.scale_from == "the item's properties"

    def test_nearest_place_wins(self) -> None:
        fields = {"bands": [{**_DN, "raster:scale": 0.5}], "raster:scale": 7.0, "unit": "m"}
        r = band_radiometry(_item(**fields), "b")
        assert (r.scale, r.unit) == (0.5, "m")

    def test_second_band(self) -> None:
        fields = {"raster:bands": [{**_DN, "scale": 1.0}, {**_DN, "scale": 2.0}]}
        assert band_radiometry(_item(**fields), "b", band=2).scale == 2.0

    def test_header_fills_what_the_item_leaves_open(self) -> None:
        header = BandHeader("int16", -32768.0, 0.1, 5.0, "degC")
        r = band_radiometry(_item(), "b", header=header)
        assert (r.dtype, r.nodata, r.scale, r.offset, r.unit) == ("int16", -32768.0, 0.1, 5.0, "degC")
        assert {r.nodata_from, r.scale_from, r.offset_from, r.unit_from} == {"the file's header"}

    def test_same_scale_in_item_and_header_is_applied_once(self) -> None:
        r = band_radiometry(
            _item(**{"raster:bands": [{**_DN, "scale": 0.1}]}),
            "b",
            header=BandHeader("uint16", 0.0, 0.1, 0.0),
        )
        assert r.scale == 0.1

    @pytest.mark.parametrize(
        ("field", "header", "match"),
        [
            ({"scale": 0.2}, BandHeader("uint16", 0.0, 0.1), "scale"),
            ({"offset": 1.0}, BandHeader("uint16", 0.0, 1.0, 2.0), "offset"),
            ({}, BandHeader("uint16", 65535.0), "nodata="),
        ],
    )
    def test_item_against_header(self, field: dict[str, Any], header: BandHeader, match: str) -> None:
        with pytest.raises(RadiometryError, match=match) as caught:
            band_radiometry(_item(**{"raster:bands": [{**_DN, **field}]}), "b", header=header)
        assert "'scene'" in str(caught.value)
        assert "'b'" in str(caught.value)

    def test_nodata_argument_overrides_both(self) -> None:
        item = _item(**{"raster:bands": [_DN]})
        r = band_radiometry(item, "b", header=BandHeader("uint16", 65535.0), nodata=7)
        assert (r.nodata, r.nodata_from) == (7.0, "the argument nodata=")

    def test_nan_and_a_number_do_not_contradict(self) -> None:
        item = _item(data_type="float32", nodata="nan")
        assert band_radiometry(item, "b", header=BandHeader("float32", -9999.0)).nodata == -9999.0
        item = _item(data_type="float32", nodata=-9999)
        assert band_radiometry(item, "b", header=BandHeader("float32", float("nan"))).nodata == -9999.0

    def test_unknown_fill_is_said(self) -> None:
        r = band_radiometry(_item(data_type="uint8"), "b")
        assert r.nodata is None
        assert any("no fill value" in note for note in r.notes)
        assert {"step": "note", "band": "x", "text": r.notes[0]} in r.steps("x")

    def test_text_where_a_number_belongs(self) -> None:
        with pytest.raises(RadiometryError, match="not a number"):
            band_radiometry(_item(data_type="uint8", nodata="none"), "b")

    def test_unknown_type(self) -> None:
        with pytest.raises(RadiometryError, match="data_type"):
            band_radiometry(_item(), "b")

    def test_file_wins_over_a_stated_type(self) -> None:
        r = band_radiometry(_item(data_type="uint16", nodata=0), "b", header=BandHeader("float32", 0.0))
        assert r.dtype == "float32"
        assert any("data_type says uint16" in note for note in r.notes)


class TestSentinel2:
    @pytest.mark.parametrize(
        ("case", "offset"),
        [
            # Nothing stated: quantification 10000, offset from baseline 04.00 on.
            ({"s2:processing_baseline": "02.12"}, 0.0),
            ({"s2:processing_baseline": "03.01"}, 0.0),
            ({"s2:processing_baseline": "04.00"}, -0.1),
            ({"s2:processing_baseline": "05.09"}, -0.1),
            ({"s2:product_uri": "S2A_MSIL2A_20220126T112341_N0400_R037_T29SMD_20220126T140036.SAFE"}, -0.1),
            ({"sentinel:product_id": "S2A_MSIL2A_20200714T115221_N0214_R123_T28QCH_20200714T191310"}, 0.0),
            # Stated and agreeing.
            ({"s2:processing_baseline": "05.09", "scale": 1e-4, "offset": -0.1}, -0.1),
            ({"s2:processing_baseline": "02.12", "scale": 1e-4, "offset": 0}, 0.0),
            (
                {"s2:processing_baseline": "05.09", "earthsearch:boa_offset_applied": False, "offset": -0.1},
                -0.1,
            ),
            ({"s2:processing_baseline": "05.09", "earthsearch:boa_offset_applied": False}, -0.1),
            ({"s2:processing_baseline": "05.09", "earthsearch:boa_offset_applied": True, "offset": 0}, 0.0),
            # The catalog's trap: the flag says that the offset is in the pixels, the band states it again.
            (
                {"s2:processing_baseline": "05.09", "earthsearch:boa_offset_applied": True, "offset": -0.1},
                0.0,
            ),
            # In digital numbers.
            ({"s2:processing_baseline": "05.09", "scale": 1e-4, "offset": -1000}, -0.1),
            # A plain zero without a flag: harmonised by the catalog.
            ({"s2:processing_baseline": "05.09", "scale": 1e-4, "offset": 0}, 0.0),
        ],
    )
    def test_offset(self, case: dict[str, Any], offset: float) -> None:
        item, asset = _s2(**case)
        r = band_radiometry(item, asset)
        assert r.scale == 1e-4
        assert r.offset == pytest.approx(offset, abs=1e-12)
        assert r.standard_name == "surface_bidirectional_reflectance"

    def test_settled_contradictions_are_noted(self) -> None:
        item, asset = _s2(**{"earthsearch:boa_offset_applied": True, "offset": -0.1, "s2:processing_baseline": "05.09"})
        assert any("not applied again" in note for note in band_radiometry(item, asset).notes)

    @pytest.mark.parametrize(
        "case",
        [
            {"s2:processing_baseline": "02.12", "offset": -0.1},
            {"s2:processing_baseline": "05.09", "earthsearch:boa_offset_applied": False, "offset": 0},
            {"earthsearch:boa_offset_applied": False, "sentinel:boa_offset_applied": True},
            {"scale": 1e-4},
            {},
        ],
    )
    def test_open_contradictions_are_errors(self, case: dict[str, Any]) -> None:
        item, asset = _s2(**case)
        with pytest.raises(RadiometryError, match="scene"):
            band_radiometry(item, asset)

    def test_the_same_ground_before_and_after_baseline_4(self) -> None:
        before, asset = _s2(**{"s2:processing_baseline": "03.01"})
        after, _ = _s2(**{"s2:processing_baseline": "04.00"})
        old = to_physical(np.array([1500], "uint16"), band_radiometry(before, asset))
        new = to_physical(np.array([2500], "uint16"), band_radiometry(after, asset))
        assert old[0] == pytest.approx(0.15)
        assert new[0] == pytest.approx(0.15)

    @pytest.mark.parametrize("asset", ["SCL", "AOT", "visual"])
    def test_other_layers_are_left_alone(self, asset: str) -> None:
        item, _ = _s2(asset, **{"s2:processing_baseline": "05.09"})
        r = band_radiometry(item, asset)
        assert (r.scale, r.offset) == (1.0, 0.0)

    def test_byte_copies_are_left_alone(self) -> None:
        item, asset = _s2(dtype="uint8", **{"s2:processing_baseline": "05.09"})
        assert band_radiometry(item, asset).scale == 1.0

    def test_pixels_tell_whether_the_offset_is_in(self) -> None:
        rng = np.random.default_rng(2)
        raw = rng.integers(1010, 4000, 10_000).astype("uint16")
        raw[:3000] = 0
        assert not offset_already_applied(raw)
        assert offset_already_applied(np.where(raw > 0, raw - 1000, 0).astype("uint16"))
        assert not offset_already_applied(np.zeros(10, "uint16"))


class TestLandsat:
    _LEVEL2: ClassVar[dict[str, str]] = {"landsat:correction": "L2SP", "landsat:collection_number": "02"}

    @pytest.mark.parametrize(
        ("asset", "scale", "offset", "unit"),
        [("red", 2.75e-5, -0.2, "1"), ("lwir11", 0.00341802, 149.0, "K"), ("qa_pixel", 1.0, 0.0, "1")],
    )
    def test_level_2_by_its_guide(self, asset: str, scale: float, offset: float, unit: str) -> None:
        item = _item(asset, properties=self._LEVEL2, collection="landsat-c2-l2", **{"raster:bands": [_DN]})
        r = band_radiometry(item, asset)
        assert (r.scale, r.offset, r.unit) == (scale, offset, unit)

    def test_stated_numbers_are_not_applied_twice(self) -> None:
        fields = {"raster:bands": [{**_DN, "scale": 2.75e-5, "offset": -0.2}]}
        item = _item("red", properties=self._LEVEL2, collection="landsat-c2-l2", **fields)
        r = band_radiometry(item, "red")
        assert (r.scale, r.offset) == (2.75e-5, -0.2)
        assert not r.notes[1:]

    def test_level_1_is_left_alone(self) -> None:
        item = _item("red", properties={"landsat:correction": "L1TP"}, collection="landsat-c2-l1", **_DN)
        assert band_radiometry(item, "red").scale == 1.0


class TestRealItems:
    def test_planetary_computer_sentinel2(self, samples: Any) -> None:
        name = "odc-stac__S2B_MSIL2A_20190629T212529_R043_T06VVN_20201006T080531_raster_ext.json"
        item = pystac.Item.from_file(str(samples / "stac_items" / name))
        r = band_radiometry(item, "B04")
        assert (r.dtype, r.nodata, r.scale, r.offset) == ("uint16", 0.0, 1e-4, 0.0)
        assert "02.12" in r.offset_from
        assert band_radiometry(item, "SCL").scale == 1.0

    def test_sentinel1_rtc(self, samples: Any) -> None:
        item = pystac.Item.from_file(
            str(samples / "stac_items" / "stactools-sentinel1__S1A_20200103_17RMJ_ASC_rtc.json")
        )
        r = band_radiometry(item, "gamma0_vv")
        assert (r.dtype, r.nodata, r.scale) == ("float32", 0.0, 1.0)
