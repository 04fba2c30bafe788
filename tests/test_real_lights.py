"""Night lights of real places: figures of Kenya and Puerto Rico that anyone can compute again from public files."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rioxarray
import shapely
import xarray as xr
from exactextract import exact_extract
from exactextract.raster import NumPyRasterSource

from econsat import datasets, indicators, zonal
from econsat.errors import CoverageWarning, DataError, IndicatorError
from econsat.proxies import nightlights

UNITS = "nW cm-2 sr-1"
# 15 arc seconds
PIXEL = 1 / 240


def sample(name: str) -> dict[str, Path]:
    """Return the files of a public sample, or skip."""
    try:
        return datasets.fetch(name)
    except DataError as error:
        pytest.skip(f"the sample {name} is not here: {error}")


def opened(path: Path) -> Any:
    layer = rioxarray.open_rasterio(path, masked=True).squeeze(drop=True)
    return layer.astype("float64").rename("radiance").assign_attrs(units=UNITS, floored_at=0.5)


def by_exactextract(layer: Any, frame: gpd.GeoDataFrame) -> pd.DataFrame:
    """Return sum of share x value and the mean by area on the sphere."""
    west, south, east, north = zonal.Grid.of(layer).bounds
    source = NumPyRasterSource(
        layer.to_numpy(), xmin=west, ymin=south, xmax=east, ymax=north, nodata=np.nan, srs_wkt=layer.rio.crs.to_wkt()
    )
    table = exact_extract(source, frame, ["sum", "mean(coverage_weight=area_spherical_km2)", "count"], output="pandas")
    table.columns = ["sum", "mean", "count"]
    return table


def polygons() -> gpd.GeoDataFrame:
    """Return 64 shapes over Kenya: plain, holed, thin, smaller than a pixel, of several parts, and across the edge."""
    rng = np.random.default_rng(46)
    towns = {"nairobi": (36.82, -1.29), "mombasa": (39.66, -4.05), "kisumu": (34.76, -0.1), "eldoret": (35.27, 0.52)}
    shapes: dict[str, Any] = {}

    def blob(lon: float, lat: float, radius: float) -> Any:
        angle = np.sort(rng.uniform(0, 2 * np.pi, 40))
        away = radius * rng.uniform(0.5, 1.0, 40)
        return shapely.make_valid(
            shapely.Polygon(np.column_stack([lon + away * np.cos(angle), lat + away * np.sin(angle)]))
        )

    for town, (lon, lat) in towns.items():
        shapes[f"{town} plain"] = blob(lon, lat, 0.3)
        shapes[f"{town} ring"] = blob(lon, lat, 0.5).difference(shapely.Point(lon, lat).buffer(0.1))
        shapes[f"{town} sieve"] = shapely.box(lon - 0.2, lat - 0.2, lon + 0.2, lat + 0.2).difference(
            shapely.union_all([shapely.Point(*rng.uniform([lon - 0.2, lat - 0.2], [lon + 0.2, lat + 0.2])).buffer(0.01)
                               for _ in range(25)])
        )  # fmt: skip
        for k in range(4):
            x, y = lon + rng.uniform(-0.05, 0.05), lat + rng.uniform(-0.05, 0.05)
            shapes[f"{town} speck {k}"] = blob(x, y, PIXEL * rng.uniform(0.05, 0.4))
        for k in range(2):
            x, y, run = lon + rng.uniform(-0.2, 0.0), lat + rng.uniform(-0.2, 0.0), rng.uniform(0.3, 1.0)
            shapes[f"{town} sliver {k}"] = shapely.Polygon(
                [(x, y), (x + run, y + 0.6 * run), (x + run, y + 0.6 * run + PIXEL / 20)]
            )
    for k in range(12):
        shapes[f"inland {k}"] = blob(rng.uniform(36, 40), rng.uniform(-2, 3), rng.uniform(0.05, 0.8))
    for k, (lon, lat) in enumerate(
        [(33.9, 0.0), (34.0, -1.0), (41.92, 3.5), (37.0, 5.06), (39.5, -4.72), (33.91, 5.06)]
    ):
        shapes[f"edge {k}"] = blob(lon, lat, 0.4)
    for k in range(6):
        shapes[f"parts {k}"] = shapely.union_all([blob(*towns[t], 0.05 * (k + 1)) for t in ("nairobi", "mombasa")])
    shapes["aligned"] = shapely.box(
        33.9083333333333333 + 600 * PIXEL, -4.7208333333333333 + 900 * PIXEL,
        33.9083333333333333 + 700 * PIXEL, -4.7208333333333333 + 940 * PIXEL,
    )  # fmt: skip
    shapes["island"] = shapely.Polygon(
        shapely.box(36, -2, 38, 0).exterior.coords, [shapely.box(36.5, -1.5, 37.5, -0.5).exterior.coords]
    ).union(shapely.box(36.9, -1.1, 37.1, -0.9))
    shapes["whole"] = shapely.box(33.9, -4.73, 41.93, 5.07)
    shapes["off"] = shapely.box(30, 0, 31, 1)
    return gpd.GeoDataFrame(geometry=list(shapes.values()), index=pd.Index(list(shapes), name="region"), crs=4326)


@pytest.fixture(scope="module")
def years() -> Any:
    files = sample("kenya-vnp46a4")
    steps = {int(name[-8:-4]): opened(path) for name, path in sorted(files.items())}
    return xr.concat(
        list(steps.values()), join="exact", combine_attrs="override",
        dim=pd.Index(pd.to_datetime([f"{year}-01-01" for year in steps]), name="time"),
    )  # fmt: skip


class TestKenya:
    """VNP46A4, near-nadir and snow-free, 2020 to 2023."""

    # sums of all pixels, measured on the files
    totals = {2020: 124_493.90, 2021: 145_271.10, 2022: 184_297.40, 2023: 201_688.50}  # noqa: RUF012

    def test_the_polygons_are_as_hard_as_they_should_be(self, years: Any) -> None:
        frame = polygons()
        pixels = shapely.area(frame.geometry.to_numpy()) / PIXEL**2
        assert len(frame) >= 40
        assert (pixels < 1).sum() >= 12
        assert sum(any(p.interiors for p in shapely.get_parts(s)) for s in frame.geometry) >= 8
        box = shapely.box(*zonal.Grid.of(years).bounds)
        assert frame.crosses(box).sum() + (frame.intersects(box) & ~frame.within(box)).sum() >= 6
        assert frame.is_valid.all()

    def test_sums_and_means_agree_with_exactextract(self, years: Any) -> None:
        frame = polygons()
        ours = zonal.aggregate(years, frame, stats=("sum", "mean", "count"))
        for k in range(4):
            theirs = by_exactextract(years.isel(time=k), frame)
            seen = theirs["count"].to_numpy() > 0
            assert seen.sum() >= 60
            for stat in ("sum", "mean", "count"):
                np.testing.assert_allclose(
                    ours[stat].isel(time=k).to_numpy()[seen], theirs[stat].to_numpy()[seen], rtol=1e-6, atol=1e-9
                )
            assert np.isnan(ours["sum"].isel(time=k).to_numpy()[~seen]).all()

    def test_the_four_totals(self, years: Any, record_property: Any) -> None:
        whole = polygons().loc[["whole"]]
        sums = zonal.aggregate(years, whole, stats="sum")["sum"].isel(region=0)
        found = dict(zip(self.totals, sums.to_numpy().round(2).tolist(), strict=True))
        record_property("kenya_totals", found)
        sys.stdout.write(f"sum of radiance over Kenya's rectangle: {found}\n")
        assert found == pytest.approx(self.totals, rel=1e-6)

    def test_tables_say_the_floor_of_the_product(self, years: Any) -> None:
        assert float(years.where(years > 0).min()) == 0.5
        region = polygons().loc[["nairobi plain", "nairobi speck 0"]]
        table = nightlights.sum_of_lights(years, region, method="bootstrap", n_boot=50)
        assert table.attrs["floored_at"] == 0.5
        assert any("sets values below 0.5" in note for note in table.attrs["notes"])
        area = nightlights.lit_area(years, region, threshold=0.5)
        assert any("same lit area as one of 0.5" in note for note in area.attrs["notes"])
        unequal = nightlights.gini(years, region, n_boot=50)
        assert unequal["value"].between(0, 1).all()
        assert unequal.attrs["floored_at"] == 0.5
        city = table[table["region"] == "nairobi plain"]["value"]
        assert city.is_monotonic_increasing


@pytest.fixture(scope="module")
def files() -> dict[str, Path]:
    return sample("puerto-rico-vnp46a3")


class TestPuertoRico:
    """VNP46A3 by month and VNP46A2 by day around Hurricane Maria, 20 September 2017."""

    def panel(self, files: dict[str, Path], product: str, freq: str) -> pd.DataFrame:
        rows = pd.read_csv(files["puerto_rico_adm0_panel.csv"]).query("product == @product")
        return indicators.make(
            {
                "region": rows["COUNTRY"],
                "time": pd.to_datetime(rows["date"]),
                "value": rows["ntl_sum"],
                "coverage": rows["prop_non_na_pixels"],
            },
            indicator="ntl_sum",
            unit=UNITS,
            freq=freq,
        )

    def test_the_months_after_the_hurricane(self, files: dict[str, Path]) -> None:
        months = indicators.mask_low_coverage(self.panel(files, "VNP46A3", "MS"), minimum=0.5)
        table = indicators.relative(months, baseline="2017-01/2017-08", event="2017-09-20")
        share = table.set_index(table["time"].dt.strftime("%Y-%m"))["value"]
        assert table["baseline_n"].unique().tolist() == [8]
        assert share["2017-09"] == pytest.approx(0.871, abs=5e-4)
        assert share["2017-10"] == pytest.approx(0.342, abs=5e-4)
        assert share["2017-11"] == pytest.approx(0.424, abs=5e-4)
        assert share["2017-12"] == pytest.approx(0.535, abs=5e-4)
        assert share["2018-12"] == pytest.approx(0.878, abs=5e-4)
        assert share.idxmin() == "2017-10"

    def test_a_baseline_with_september_in_it_is_refused(self, files: dict[str, Path]) -> None:
        with pytest.raises(IndicatorError, match="the event would be part of what is normal"):
            indicators.relative(self.panel(files, "VNP46A3", "MS"), baseline="2017-01/2017-09", event="2017-09-20")

    def test_days_without_valid_pixels_are_not_dark(self, files: dict[str, Path]) -> None:
        days = self.panel(files, "VNP46A2", "D")
        # what the file holds looks like a blackout
        assert days.loc[days["time"].between("2017-09-20", "2017-09-22"), "value"].tolist() == [0.0, 0.0, 0.0]
        with pytest.warns(CoverageWarning, match="9 of 11 values"):
            gated = indicators.mask_low_coverage(days, minimum=0.5)
        storm = gated[gated["time"].between("2017-09-20", "2017-09-25")]
        assert len(storm) == 6
        assert storm["value"].isna().all()
        assert storm["reason"].str.fullmatch(r"coverage 0\.0\d below 0\.5").all()
        assert gated["value"].dropna().tolist() == pytest.approx([110_634.74, 165_012.44], rel=1e-6)

    def test_days_cannot_be_made_relative_to_a_baseline_that_is_missing(self, files: dict[str, Path]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CoverageWarning)
            gated = indicators.mask_low_coverage(self.panel(files, "VNP46A2", "D"), minimum=0.5)
        table = indicators.relative(gated, baseline="2017-09-15/2017-09-19", event="2017-09-20")
        assert table["value"].isna().all()
        assert table["reason"].iloc[2] == "baseline 2017-09-15 to 2017-09-19 has 2 valid value(s), fewer than 3"

    def test_the_two_rasters(self, files: dict[str, Path]) -> None:
        steps = {name[-11:-4]: opened(path) for name, path in files.items() if name.endswith(".tif")}
        cube = xr.concat(
            [steps["2017_09"], steps["2017_10"]], combine_attrs="override", join="exact",
            dim=pd.Index(pd.to_datetime(["2017-09-01", "2017-10-01"]), name="time"),
        )  # fmt: skip
        frame = gpd.GeoDataFrame(
            geometry=[shapely.box(-68, 17.8, -65.2, 18.6), shapely.box(-66.2, 18.3, -65.95, 18.5)],
            index=pd.Index(["all", "san juan"], name="region"), crs=4326,
        )  # fmt: skip
        sums = zonal.aggregate(cube, frame, stats=("sum", "coverage"))
        assert sums["sum"].sel(region="all").to_numpy() == pytest.approx([175_834.81, 70_691.30], rel=1e-6)
        # the sea is missing in these files, not dark
        assert sums["coverage"].sel(region="all").to_numpy() == pytest.approx([0.369, 0.373], abs=0.001)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CoverageWarning)
            lights = nightlights.sum_of_lights(cube, frame, min_coverage=0.3, freq="MS")
        fell = lights.set_index(["region", "time"])["value"].unstack()
        fell = fell[pd.Timestamp("2017-10-01")] / fell[pd.Timestamp("2017-09-01")]
        assert fell["all"] == pytest.approx(0.402, abs=0.002)
        assert (fell < 0.8).all()
        sea = gpd.GeoDataFrame(geometry=[shapely.box(-67.9, 17.9, -67.8, 17.95)], index=["sea"], crs=4326)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CoverageWarning)
            row = nightlights.sum_of_lights(cube.isel(time=0), sea, method="bootstrap").iloc[0]
        assert np.isnan(row["value"])
        assert (row["coverage"], row["reason"]) == (0.0, "no valid pixel")
