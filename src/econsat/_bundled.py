"""The bundled tables as they lie in the package, each read once; callers must copy before they change one."""

from __future__ import annotations

from functools import cache

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from econsat._iso import iso2_to_iso3
from econsat._resources import data_dir

__all__ = [
    "cities",
    "countries",
    "gdp",
    "land",
    "port_areas",
    "ports",
    "simulated_city",
    "simulated_city_truth",
    "simulated_port",
    "simulated_port_truth",
    "states",
]


@cache
def countries() -> gpd.GeoDataFrame:
    """Read the outlines of countries, by Natural Earth's code."""
    frame = gpd.read_file(data_dir() / "vectors" / "countries.geojson")
    frame.index = pd.Index(frame["iso3"].astype(str), name="region")
    rest = [c for c in frame.columns if c not in {"name", "iso3"}]
    return frame[["name", "iso3", *rest]].sort_index()


@cache
def states() -> gpd.GeoDataFrame:
    """Read the outlines of states and provinces, with the shares of GDP where there are any."""
    folder = data_dir() / "vectors"
    with_gdp = gpd.read_file(folder / "states_gdp.geojson")
    provinces = gpd.read_file(folder / "adm1_BDI.geojson").rename(columns={"adm0_a3": "iso3"})
    provinces["gdp_share"] = np.nan
    provinces["gsdp_column"] = None
    columns = ["name", "iso3", "gdp_share", "gsdp_column", "geometry"]
    frame = pd.concat([with_gdp[columns], provinces[columns]], ignore_index=True)
    frame.index = pd.Index(frame["iso3"].astype(str) + "-" + frame["name"].astype(str), name="region")
    return frame.sort_index()


@cache
def gdp() -> pd.DataFrame:
    """Read the Penn World Table."""
    table = pd.read_csv(data_dir() / "tables" / "pwt91_1990on.csv.gz")
    table["year"] = table["year"].astype("int64")
    table = table.rename(columns={"isocode": "iso3"})
    return table[["iso3", "country", "year", "rgdpe", "rgdpo", "rgdpna", "pop", "emp"]]


@cache
def cities() -> gpd.GeoDataFrame:
    """Read the cities."""
    table = pd.read_csv(data_dir() / "tables" / "cities100k.csv.gz", keep_default_na=False)
    iso3 = iso2_to_iso3()
    frame = gpd.GeoDataFrame(
        {
            "name": table["name"],
            "iso3": [iso3.get(code) for code in table["countrycode"]],
            "population": table["population"].astype("int64"),
        },
        geometry=gpd.points_from_xy(table["longitude"], table["latitude"]),
        crs="EPSG:4326",
    )
    frame.index = pd.Index(table["geonameid"].astype(str), name="region")
    return frame


@cache
def ports() -> gpd.GeoDataFrame:
    """Read the ports."""
    # `keep_default_na`: an empty field is text here, and Namibia's code is NA.
    table = pd.read_csv(data_dir() / "tables" / "ports.csv.gz", keep_default_na=False)
    iso3 = iso2_to_iso3()
    frame = gpd.GeoDataFrame(
        {
            "name": table["name"],
            "iso3": [iso3.get(code[:2]) for code in table["port"]],
            "country": table["cty"].str.replace("_", " "),
            "locode": table["port"],
        },
        geometry=gpd.points_from_xy(table["lon"], table["lat"]),
        crs="EPSG:4326",
    )
    ids = table["port"].where(~table["port"].duplicated(keep=False), table["port"] + " " + table["name"])
    again = ids.groupby(ids).cumcount()
    frame.index = pd.Index(ids.where(again == 0, ids + " " + (again + 1).astype(str)), name="region")
    return frame


@cache
def port_areas() -> gpd.GeoDataFrame:
    """Read the anchorages and harbours that were drawn, by their id."""
    frame = gpd.read_file(data_dir() / "vectors" / "port_areas.geojson")
    return frame.set_index("region").sort_index()


@cache
def land() -> shapely.STRtree:
    """Read the world's land as polygons in longitude and latitude, in a tree by place."""
    with np.load(data_dir() / "vectors" / "land_10m.npz", allow_pickle=False) as kept:
        vertices, start = kept["vertices"], kept["start"]
        steps = np.column_stack([kept["dx"], kept["dy"]]).astype(np.int64)
        scale, origin, polygon = kept["scale"], kept["origin"], kept["polygon"]
    # Each ring is its first vertex and the steps from one to the next, in whole units of the source's grid.
    first = np.concatenate([[0], np.cumsum(vertices)[:-1]])
    steps[first] = start
    whole = np.cumsum(steps, axis=0)
    before = np.where(first > 0, first - 1, 0)
    offset = np.where(first[:, None] > 0, whole[before], 0)
    corners = (whole - np.repeat(offset, vertices, axis=0)) * scale + origin
    # Whole units of that grid do not hit the pole.
    corners[:, 1] = corners[:, 1].clip(-90.0, 90.0)
    rings = shapely.linearrings(corners, indices=np.repeat(np.arange(len(vertices)), vertices))
    return shapely.STRtree(shapely.polygons(rings, indices=polygon))


@cache
def simulated_city() -> gpd.GeoDataFrame:
    """Read the districts of the simulated city."""
    frame = gpd.read_file(data_dir() / "city-lights-simulated" / "districts.geojson")
    return frame.set_index("region")[["name", "geometry"]].sort_index()


@cache
def simulated_city_truth() -> pd.DataFrame:
    """Read the light that was put into the simulated city."""
    table = pd.read_csv(data_dir() / "city-lights-simulated" / "truth.csv", parse_dates=["month"])
    return table.rename(columns={"month": "time", "sum_of_lights": "value"})


@cache
def simulated_port() -> gpd.GeoDataFrame:
    """Read the areas of the simulated port, and its water."""
    frame = gpd.read_file(data_dir() / "port-radar-simulated" / "areas.geojson").rename(columns={"area": "region"})
    frame["port"] = "simulated port"
    return frame.set_index("region")[["port", "name", "kind", "source", "method", "geometry"]].sort_index()


@cache
def simulated_port_truth() -> gpd.GeoDataFrame:
    """Read the ships that were put into the passes over the simulated port."""
    table = pd.read_csv(data_dir() / "port-radar-simulated" / "truth.csv")
    table["time"] = pd.to_datetime(table["time"], utc=True).dt.tz_localize(None)
    places = gpd.points_from_xy(table["x"], table["y"])
    return gpd.GeoDataFrame(table.drop(columns=["x", "y"]), geometry=places, crs="EPSG:32631")
