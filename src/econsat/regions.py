"""Places: countries, states, ports, circles, boxes, and whatever table of shapes a user brings.

Every function returns a GeoDataFrame in EPSG:4326 (longitude, latitude) whose index is named ``region`` and
holds unique text, with at least the columns ``name`` and ``iso3``. No geometry leaves -180..180: what crosses
the antimeridian comes in parts on both of its sides.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from shapely.geometry.base import BaseGeometry

from econsat import _bundled
from econsat._globe import circle
from econsat._iso import ALIASES, AMBIGUOUS, ISO3_TO_NATURAL_EARTH, iso2_to_iso3, plain
from econsat._port_areas import port_areas
from econsat.errors import RegionError

if TYPE_CHECKING:
    from collections.abc import Hashable

__all__ = ["around", "box", "countries", "port", "port_areas", "read", "states", "states_with_gdp"]

# A circle wider than a quarter of a meridian (10,001.97 km on WGS 84) could hold both poles.
_MAX_RADIUS_KM = 10_000.0


def _close(wanted: str, known: Iterable[str], *, n: int = 5) -> str:
    by_plain = {plain(name): name for name in known}
    near = difflib.get_close_matches(plain(wanted), list(by_plain), n=n, cutoff=0.6)
    inside = [p for p in by_plain if plain(wanted) in p and p not in near]
    found = [by_plain[p] for p in [*near, *sorted(inside)][:n]]
    return f" Close matches: {', '.join(found)}." if found else ""


def _code(wanted: object) -> str:
    """Return the country's key in the bundled table, or raise naming what is close."""
    table = _bundled.countries()
    if not isinstance(wanted, str) or not wanted.strip():
        raise RegionError(f"a country is an ISO code or a name, not {wanted!r}: change `codes`")
    text = wanted.strip()
    upper = text.upper()
    names: dict[str, str] = {plain(name): str(code) for code, name in table["name"].items()}
    key = plain(text)
    if key in AMBIGUOUS:
        either = " or ".join(f"{code} ({table.loc[code, 'name']})" for code in AMBIGUOUS[key])
        raise RegionError(f"{wanted!r} may mean {either}: pass the code")
    iso3 = iso2_to_iso3().get(upper, upper)
    for code in (iso3, ISO3_TO_NATURAL_EARTH.get(iso3, ""), names.get(key, ""), ALIASES.get(key, "")):
        if code in table.index:
            return code
    if iso3 in iso2_to_iso3().values():
        raise RegionError(
            f"{wanted!r} is a valid code ({iso3}), but its outline is too small for the bundled 1:110m "
            "countries. "
            "Pass your own file to regions.read()."
        )
    near = _close(text, [*table.index, *table["name"], *ALIASES])
    raise RegionError(
        f"no country {wanted!r} among the {len(table)} bundled ones.{near} Codes are ISO 3166-1 alpha-3 or "
        "alpha-2; "
        "regions.countries() lists all."
    )


def _listed(value: object, *, argument: str) -> list[Any]:
    if isinstance(value, str):
        return [value]
    if not isinstance(value, Iterable):
        raise RegionError(f"`{argument}` is {value!r}: pass an ISO code or a name, or several of them")
    return list(value)


def countries(codes: str | Iterable[str] | None = None) -> gpd.GeoDataFrame:
    """Return country outlines (Natural Earth, 1:110 million), one row a country.

    Parameters
    ----------
    codes : str or iterable of str, optional
        ISO 3166-1 alpha-3 or alpha-2 codes, or names where they mean one country only. All 177 by default.

    Returns
    -------
    geopandas.GeoDataFrame
        Index ``region``: Natural Earth's country code, which is ISO alpha-3 but for SDS (South Sudan), PSX
        (Palestine), SAH (Western Sahara), KOS (Kosovo), CYN (Northern Cyprus) and SOL (Somaliland). Columns
        ``name``, ``iso3`` (the same code), ``continent``, ``pop_est`` (persons, about 2017), ``gdp_md_est``
        (million USD, about 2016), ``income_grp`` and ``geometry``. Rows come in the order asked for, else by
        code.

    Raises
    ------
    RegionError
        A code or name is unknown, stands twice, or could mean two countries. Nothing is left out in silence.

    Examples
    --------
    >>> countries(["BDI", "br", "Côte d'Ivoire"]).index.tolist()
    ['BDI', 'BRA', 'CIV']
    >>> len(countries())
    177
    """
    table = _bundled.countries()
    if codes is None:
        return table.copy()
    wanted = _listed(codes, argument="codes")
    if not wanted:
        raise RegionError("no country was asked for: `codes` is empty; None means all")
    found = [_code(code) for code in wanted]
    twice = sorted({code for code in found if found.count(code) > 1})
    if twice:
        raise RegionError(f"asked for twice: {', '.join(twice)} (in {wanted}). Name each country once.")
    return table.loc[found].copy()


def states_with_gdp() -> list[str]:
    """Return the codes of the 14 countries whose states or provinces have a share of GDP.

    Examples
    --------
    >>> " ".join(states_with_gdp())
    'AUS BRA CAN CHE CHN DEU FRA IDN IND JPN MEX TUR USA ZAF'
    """
    frame = _bundled.states()
    return sorted(frame.loc[frame["gdp_share"].notna(), "iso3"].unique().tolist())


def states(country: str | Iterable[str] | None = None) -> gpd.GeoDataFrame:
    """Return the states or provinces of a country: 14 countries with shares of GDP, and Burundi without.

    Parameters
    ----------
    country : str or iterable of str, optional
        A code or name as in `countries`, or several. All 15 countries by default.

    Returns
    -------
    geopandas.GeoDataFrame
        Index ``region`` such as ``"IND-Maharashtra"``. Columns ``name``, ``iso3``, ``gdp_share`` (share of
        the total of the country's matched states, 0..1, of about 2014 to 2016; missing for Burundi),
        ``gsdp_column`` (the column of the source) and ``geometry`` (Natural Earth, simplified to 0.05
        degrees).

    Raises
    ------
    RegionError
        There are no bundled states for the country; the message lists those there are.

    Examples
    --------
    >>> states("IND").loc["IND-Maharashtra", "iso3"]
    'IND'
    >>> len(states("Burundi"))
    17
    """
    frame = _bundled.states()
    if country is None:
        return frame.copy()
    wanted = _listed(country, argument="country")
    have = sorted(frame["iso3"].unique())
    listing = f"with GDP: {', '.join(states_with_gdp())}; without: " + ", ".join(
        code for code in have if code not in states_with_gdp()
    )
    if not wanted:
        raise RegionError(f"no country was asked for. States there are {listing}.")
    codes = []
    for each in wanted:
        code = _code(each)
        if code not in have:
            raise RegionError(f"no bundled states or provinces for {each!r} ({code}). There are {listing}.")
        codes.append(code)
    return frame[frame["iso3"].isin(codes)].copy()


def port(name_or_locode: str) -> gpd.GeoDataFrame:
    """Return one port as a point.

    The point lies 1 to 24 km from the terminals: take a circle around it (`around`) or `port_areas`, not the point.

    Parameters
    ----------
    name_or_locode : str
        UN/LOCODE such as ``"NLRTM"``, a name such as ``"Rotterdam"``, or ``"Brest, France"`` where a name is
        not unique.

    Returns
    -------
    geopandas.GeoDataFrame
        One row; index ``region`` is the UN/LOCODE; columns ``name``, ``iso3``, ``country``, ``locode``,
        ``geometry``.

    Raises
    ------
    RegionError
        The port is unknown (close names are listed) or the name means several (all are listed).

    Examples
    --------
    >>> port("NLRTM").name.tolist()
    ['Rotterdam']
    """
    table = _bundled.ports()
    if not isinstance(name_or_locode, str) or not name_or_locode.strip():
        raise RegionError(f"a port is a UN/LOCODE or a name, not {name_or_locode!r}")
    text = name_or_locode.strip()
    names = table["name"].map(plain)
    whole = names + ", " + table["country"].map(plain)
    hits = table
    for column, wanted in (
        (table["locode"], text.upper().replace(" ", "")),
        (table.index.to_series(), text),
        (names, plain(text)),
        (whole, plain(text)),
    ):
        hits = table[column == wanted]
        if len(hits):
            break
    if hits.empty:
        near = _close(text, table["name"])
        raise RegionError(f"no port {name_or_locode!r} among {len(table)}.{near} Pass a UN/LOCODE or a name.")
    if len(hits) > 1:
        each = "; ".join(f"{region} ({row['name']}, {row['country']})" for region, row in hits.iterrows())
        raise RegionError(f"{name_or_locode!r} means {len(hits)} ports: {each}. Pass one of these ids.")
    return hits.copy()


def _one(geometry: BaseGeometry, region: str) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(
        {"name": [region], "iso3": [None]},
        geometry=[geometry],
        index=pd.Index([region], name="region"),
        crs="EPSG:4326",
    )


def _finite(**values: object) -> list[float]:
    out = []
    for key, value in values.items():
        if (
            isinstance(value, bool)
            or not isinstance(value, (int, float, np.integer, np.floating))
            or not np.isfinite(value)
        ):
            raise RegionError(f"`{key}` is {value!r}: a finite number is needed")
        out.append(float(value))
    return out


def box(west: float, south: float, east: float, north: float) -> gpd.GeoDataFrame:
    """Return a box of longitudes and latitudes; ``west > east`` crosses the antimeridian.

    Parameters
    ----------
    west, east : float
        Degrees, -180..180.
    south, north : float
        Degrees, -90..90, ``south < north``.

    Returns
    -------
    geopandas.GeoDataFrame
        One row, a Polygon, or a MultiPolygon of two parts where the box crosses the antimeridian.

    Raises
    ------
    RegionError
        A number is out of range, or the box has no area.

    Examples
    --------
    >>> box(177, -20, -178, -15).geometry.iloc[0].geom_type
    'MultiPolygon'
    """
    w, s, e, n = _finite(west=west, south=south, east=east, north=north)
    if not (-180 <= w <= 180 and -180 <= e <= 180):
        raise RegionError(f"longitudes {w} and {e}: both must lie in -180..180; west > east crosses the antimeridian")
    if not -90 <= s < n <= 90:
        raise RegionError(
            f"latitudes {s} and {n}: they must lie in -90..90, south below north. Order: west, south, east, north"
        )
    region = f"box {w:g} {s:g} {e:g} {n:g}"
    if w == e:
        raise RegionError(f"west and east are both {w}: the box has no area")
    parts = [shapely.box(w, s, e, n)] if w < e else [shapely.box(w, s, 180, n), shapely.box(-180, s, e, n)]
    parts = [part for part in parts if part.area > 0]
    return _one(parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts), region)


def around(lon: float, lat: float, km: float) -> gpd.GeoDataFrame:
    """Return the circle of a given radius around a point, measured along the WGS 84 ellipsoid.

    The circle is drawn with 360 vertices on it, so its area falls short by 0.005 %. It is split where it
    crosses the antimeridian, and reaches up to the pole where it holds the pole.

    Parameters
    ----------
    lon, lat : float
        Degrees, -180..180 and -90..90.
    km : float
        Radius in kilometres, above 0, at most 10,000.

    Returns
    -------
    geopandas.GeoDataFrame
        One row.

    Raises
    ------
    RegionError
        A number is out of range.

    Examples
    --------
    >>> area_km2 = around(4.0, 51.9, 20).to_crs("EPSG:3035").area.iloc[0] / 1e6
    >>> print(f"{area_km2 / (3.14159 * 20**2):.3f}")
    1.000
    """
    x, y, radius = _finite(lon=lon, lat=lat, km=km)
    if not (-180 <= x <= 180 and -90 <= y <= 90):
        raise RegionError(f"lon {x}, lat {y}: lon must lie in -180..180 and lat in -90..90 (lon comes first)")
    if not 0 < radius <= _MAX_RADIUS_KM:
        raise RegionError(f"km = {radius:g}: a radius above 0 and at most {_MAX_RADIUS_KM:g} km is needed")
    return _one(circle(x, y, metres=radius * 1000.0), f"{radius:g} km around {x:g} {y:g}")


def read(source: Any, *, index: Hashable | None = None, layer: str | None = None) -> gpd.GeoDataFrame:
    """Return any description of places as the table that the rest of econsat takes.

    Parameters
    ----------
    source : object
        A path to a vector file (GeoJSON, GeoPackage, shapefile or its zip, FlatGeobuf); a
        GeoDataFrame or GeoSeries; a shapely geometry in longitude and latitude; a box ``(west, south, east,
        north)``; GeoJSON as a dict or as text; a country's code or name; a state's id such as
        ``"IND-Maharashtra"``; or a list of codes.
    index : hashable, optional
        The column whose values become the region's ids. By default the column ``region``, else the table's
        own index.
    layer : str, optional
        The layer to read from a file that has several.

    Returns
    -------
    geopandas.GeoDataFrame
        EPSG:4326, index ``region`` of unique text, columns ``name`` and ``iso3`` (missing where the source
        has none) before the source's own.

    Raises
    ------
    RegionError
        There is nothing there, no geometry, ids that stand twice, a file that is not what its name says, or
        an unknown place.
    MissingCRSError
        The table does not say in which coordinate reference system it is.

    Warns
    -----
    GeometryWarning
        Invalid geometries were repaired; the message counts and names them.

    Examples
    --------
    >>> read((29, -4.5, 31, -2.3)).total_bounds.tolist()
    [29.0, -4.5, 31.0, -2.3]
    >>> read("BDI").name.tolist()
    ['Burundi']
    >>> read({"type": "Point", "coordinates": [29.4, -3.4]}).geom_type.tolist()
    ['Point']
    """
    from econsat._places import as_frame, tidy

    if isinstance(source, str):
        known = _by_name(source)
        if known is not None:
            return known
    elif isinstance(source, Sequence) or (isinstance(source, np.ndarray) and source.ndim == 1):
        return _from_sequence(list(source))
    return tidy(as_frame(source, layer=layer), index=index)


def _from_sequence(values: list[Any]) -> gpd.GeoDataFrame:
    if values and all(isinstance(v, str) for v in values):
        frames = [read(v) for v in values]
        frame = pd.concat(frames)
        twice = sorted(frame.index[frame.index.duplicated()].unique())
        if twice:
            raise RegionError(f"asked for twice: {', '.join(twice)}. Name each place once.")
        return frame
    if len(values) == 4:
        return box(*values)
    raise RegionError(
        "a list of places is either codes (text) or a box of four numbers (west, south, east, north), not "
        f"{values!r:.200}"
    )


def _by_name(text: str) -> gpd.GeoDataFrame | None:
    """Return a bundled place by its id, code or name, or None when the text reads like a file or GeoJSON."""
    from econsat._places import looks_like_file

    if looks_like_file(text):
        return None
    frame = _bundled.states()
    if text in frame.index:
        return frame.loc[[text]].copy()
    iso3, dash, _ = text.partition("-")
    if dash and iso3 in set(frame["iso3"]):
        raise RegionError(
            f"no state {text!r}.{_close(text, frame.index[frame['iso3'] == iso3])} regions.states({iso3!r}) lists all."
        )
    try:
        return countries(text)
    except RegionError as error:
        raise RegionError(
            f"{error} A region may also be a path, a state's id such as 'IND-Maharashtra', a box, GeoJSON or "
            "a GeoDataFrame."
        ) from None
