"""Counts of vessels by pass and area, from detections or from a table of counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from econsat.errors import MissingCRSError, ParameterError
from econsat.indicators.schema import shorten
from econsat.models.ports._passes import coverage_of, keys_of, refuse_repeated, same_kind, strata_of, times_of

if TYPE_CHECKING:
    import geopandas as gpd

__all__ = ["INDICATORS", "count_detections", "method_of", "read_counts"]

#: What vessels in an area of a kind are called; the area's purpose, not the vessel's motion, says that they wait.
INDICATORS = {"anchorage": "vessels_at_anchor", "harbour": "vessels_at_berth"}
_COLUMNS = ("region", "indicator", "time", "count", "coverage", "relative_orbit", "platform")


def read_counts(
    counts: pd.DataFrame | pd.Series, *, region: str, indicator: str, water_given: bool | None
) -> tuple[pd.DataFrame, list[str]]:
    """Return counts by pass in the columns of `count_detections`, and what must be said of them."""
    if isinstance(counts, pd.Series):
        counts = pd.DataFrame({"time": counts.index, "count": counts.to_numpy()})
    if not isinstance(counts, pd.DataFrame):
        raise ParameterError(f"`counts` must be a DataFrame or a Series by time; got {type(counts).__name__}.")
    lacking = [name for name in ("time", "count") if name not in counts]
    if lacking:
        raise ParameterError(f"`counts` lacks the columns {lacking}; it has {list(counts.columns)}.")
    frame = counts.reset_index(drop=True)
    number = pd.to_numeric(frame["count"], errors="coerce").astype("float64")
    wrong = (number.isna() & frame["count"].notna()) | (number < 0) | np.isinf(number)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise ParameterError(f"`counts`: count in row {row} is {frame['count'].iloc[row]}; a count is 0 or more.")
    out = strata_of(frame)
    out["time"] = times_of(frame["time"].array, "counts").array
    out["count"], out["coverage"] = number, coverage_of(frame, "counts")
    if "region" in frame and frame["region"].isna().any():
        row = int(np.flatnonzero(frame["region"].isna())[0])
        raise ParameterError(f"`counts`: row {row} has no region; name it, or drop the row.")
    out["region"] = frame["region"].astype("str") if "region" in frame else region
    out["indicator"] = indicator
    if "kind" in frame:
        out["indicator"] = [_indicator(kind) for kind in frame["kind"]]
    if (out["indicator"] == INDICATORS["harbour"]).any():
        _refuse_berths(water_given, counts)
    out = out[list(_COLUMNS)]
    refuse_repeated(out, ["region", "indicator", "time"], "counts")
    notes = []
    if "coverage" not in frame:
        notes.append("coverage not said: every pass is taken to have seen the whole area")
    # a count that is missing was not seen, whatever the coverage says
    out.loc[out["count"].isna(), "coverage"] = np.nan
    return out, notes


def count_detections(
    detections: Any,
    areas: gpd.GeoDataFrame,
    *,
    passes: pd.DataFrame,
    water_given: bool | None,
    without: tuple[str, ...],
) -> tuple[pd.DataFrame, list[str]]:
    """Count detections by pass and area: one row a listed pass, region and kind of area, zero where none was found."""
    import geopandas as gpd

    _check_areas(areas)
    if (areas["kind"] == "harbour").any():
        frames = list(detections.values()) if isinstance(detections, Mapping) else [detections]
        _refuse_berths(water_given, *frames)
    if isinstance(without, str) or not all(isinstance(flag, str) for flag in without):
        raise ParameterError(f"`without` is a tuple of flags, such as ('ambiguity',); got {without!r}.")
    keys = keys_of(passes)
    points, key = _points(detections, areas.crs)
    by_time = not isinstance(detections, Mapping) and "pass" not in detections
    if by_time or pd.api.types.is_datetime64_any_dtype(key):
        # detections that name no pass are of the pass at their time, whatever the passes are called
        keys = same_kind(pd.DatetimeIndex(times_of(passes["time"].array, "passes")))
    if isinstance(keys, pd.DatetimeIndex):
        key = pd.Series(times_of(key.array, "detections").array, dtype=keys.dtype)
    strange = pd.Index(key.unique()).difference(keys)
    if len(strange):
        raise ParameterError(
            f"`detections` are of {len(strange)} pass(es) that `passes` does not list: {shorten(strange)}. List every "
            "pass, those without a vessel too."
        )
    notes = []
    left = pd.Series(np.zeros(len(points), dtype=bool), index=points.index)
    if without and "flags" not in points and len(points):
        raise ParameterError("`without` leaves out detections by their flags; `detections` has no column 'flags'.")
    if without and len(points):
        left = points["flags"].map(lambda text: bool(set(_flags(text)) & set(without)))
        notes.append(f"{int(left.sum())} detections flagged {', '.join(without)} are not counted")
    points, key = points[~left.astype("bool")], key[~left.astype("bool").to_numpy()]
    region = _region_of(areas)
    places = gpd.GeoDataFrame(
        {"region": region, "indicator": [_indicator(kind) for kind in areas["kind"]]},
        geometry=areas.geometry.array,
        crs=areas.crs,
    )
    inside = (
        points[["geometry"]].assign(key=key.array, point=np.arange(len(points))).sjoin(places, predicate="intersects")
    )
    # areas of one kind may touch or overlap: a vessel is one vessel
    inside = inside.drop_duplicates(["point", "region", "indicator"])
    outside = len(points) - inside["point"].nunique()
    if outside:
        notes.append(f"{outside} of {len(points)} detections lie outside the areas and are not counted")
    both = int(inside.duplicated(["point", "region"]).sum())
    if both:
        notes.append(f"{both} detections lie in an anchorage and a harbour that overlap, and count in both")
    number = inside.groupby(["key", "region", "indicator"]).size()
    listed = strata_of(passes).reset_index(drop=True)
    listed["time"] = times_of(passes["time"].array, "passes").array
    listed["coverage"] = coverage_of(passes, "passes").array
    listed["key"] = keys
    by = ["key"]
    if "region" in passes:
        listed["region"] = passes["region"].astype("str").array
        unknown = set(listed["region"]) - set(region)
        if unknown:
            raise ParameterError(f"`passes` names the areas {shorten(sorted(unknown))}, which `areas` does not have.")
        by.append("region")
    refuse_repeated(listed, by, "passes")
    out = listed.merge(places[["region", "indicator"]].drop_duplicates(), how="cross" if len(by) == 1 else "inner")
    at = pd.MultiIndex.from_frame(out[["key", "region", "indicator"]])
    out["count"] = number.reindex(at).fillna(0).to_numpy(dtype="float64") if len(number) else 0.0
    unlisted = int(inside.shape[0] - out["count"].sum())
    if unlisted:
        raise ParameterError(
            f"{unlisted} detections lie in areas that their pass is not listed to have seen; add rows to `passes`."
        )
    out = out[list(_COLUMNS)]
    refuse_repeated(out, ["region", "indicator", "time"], "passes")
    if "coverage" not in passes:
        notes.append("coverage not said: every pass is taken to have seen the whole area")
    return out, notes + _area_notes(areas, region)


def _points(detections: Any, crs: Any) -> tuple[gpd.GeoDataFrame, pd.Series]:
    """Return all detections in the areas' CRS, with the key of their pass."""
    import geopandas as gpd

    if isinstance(detections, Mapping):
        for name, frame in detections.items():
            _check_points(frame, f"detections[{name!r}]")
        moved = [_named(frame.to_crs(crs)) for frame in detections.values()]
        parts = [part[["geometry", *(["flags"] if "flags" in part else [])]] for part in moved]
        if not parts:
            return gpd.GeoDataFrame({"flags": []}, geometry=[], crs=crs), pd.Series([], dtype="object")
        full = [part for part in parts if len(part)] or parts[:1]
        points = gpd.GeoDataFrame(pd.concat(full, ignore_index=True), crs=crs)
        names = same_kind(list(detections), "detections")
        return points, pd.Series(names.repeat([len(frame) for frame in detections.values()]))
    _check_points(detections, "detections")
    column = next((name for name in ("pass", "time") if name in detections), None)
    if column is None:
        raise ParameterError(
            f"`detections` has neither a column 'pass' nor 'time'; it has {list(detections.columns)}. Say of which "
            "pass each detection is, or pass a dict of pass to detections."
        )
    points = _named(detections.to_crs(crs).reset_index(drop=True))
    return points, pd.Series(same_kind(detections[column].array, "detections"))


def _named(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return points in a column `geometry`, whatever it was called."""
    return frame if frame.geometry.name == "geometry" else frame.rename_geometry("geometry")


def _check_points(frame: Any, name: str) -> None:
    import geopandas as gpd

    if not isinstance(frame, gpd.GeoDataFrame):
        raise ParameterError(f"`{name}` must be a GeoDataFrame of detections; got {type(frame).__name__}.")
    if frame.crs is None:
        raise MissingCRSError(f"`{name}` has no CRS; set it with .set_crs.")


def _check_areas(areas: Any) -> None:
    import geopandas as gpd

    if not isinstance(areas, gpd.GeoDataFrame):
        raise ParameterError(f"`areas` must be a GeoDataFrame, as from regions.port_areas; got {type(areas).__name__}.")
    if areas.crs is None:
        raise MissingCRSError("`areas` has no CRS; set it with .set_crs.")
    if "kind" not in areas or areas.empty:
        raise ParameterError("`areas` needs rows with a column 'kind' (anchorage or harbour).")


def _indicator(kind: Any) -> str:
    if kind not in INDICATORS:
        raise ParameterError(
            f"An area is of the kind {kind!r}; vessels are counted in {' and '.join(INDICATORS)}. Drop the rest."
        )
    return INDICATORS[kind]


def _region_of(areas: gpd.GeoDataFrame) -> list[str]:
    """Return the port that each area belongs to: its column `port` or `region`, else the index.

    Ports of one name are told apart by their `locode`.
    """
    column = next((name for name in ("port", "region") if name in areas), None)
    if column and areas[column].isna().any():
        raise ParameterError(
            f"`areas`: {int(areas[column].isna().sum())} of {len(areas)} rows have no {column!r}, so that it is not "
            "known which count together; fill the column, or drop it to count by the index."
        )
    names = [str(name) for name in (areas[column] if column else areas.index)]
    if column != "port" or "locode" not in areas:
        return names
    # Venice in Italy and Venice in Louisiana are two ports
    several = pd.Series(areas["locode"].astype("str").to_numpy()).groupby(names).nunique()
    return [
        f"{name} ({code})" if several[name] > 1 else name for name, code in zip(names, areas["locode"], strict=True)
    ]


def method_of(areas: gpd.GeoDataFrame, indicator: str, region: str) -> str:
    """Return how the areas of a region and kind were drawn; where they differ, all of it."""
    if "method" not in areas:
        return "unknown"
    own = [
        str(method)
        for name, kind, method in zip(_region_of(areas), areas["kind"], areas["method"], strict=True)
        if name == region and INDICATORS.get(kind) == indicator
    ]
    return ", ".join(sorted(set(own)))


def _flags(text: Any) -> list[str]:
    return [flag.strip() for flag in text.split(",")] if isinstance(text, str) else []


def _area_notes(areas: gpd.GeoDataFrame, region: list[str]) -> list[str]:
    if "method" not in areas:
        return ["how the areas were drawn is not said (no column 'method')"]
    boxes = sorted({name for name, method in zip(region, areas["method"], strict=True) if method == "box"})
    if not boxes:
        return []
    return [
        f"{', '.join(boxes)}: counted in a box around the port's point, not in a drawn anchorage or harbour; vessels "
        "that pass by, wait for another port or lie at berth may be among them"
    ]


def _refuse_berths(water_given: bool | None, *frames: Any) -> None:
    given = all(_water_was_given(frame) for frame in frames) and bool(frames) if water_given is None else water_given
    if not given:
        raise ParameterError(
            "Vessels at berth (kind 'harbour') are counted only in detections made with a given water mask: the "
            "bundled coast is about 1 km off, further than quays are long. Detect with `water=` (or say "
            "`water_given=True`), or pass only areas[areas['kind'] == 'anchorage']."
        )


def _water_was_given(frame: Any) -> bool:
    """Whether the provenance of detections says that a water mask was given, and no detection that it was not."""
    if "flags" in frame and any(flag.startswith("coast +-") for text in frame["flags"] for flag in _flags(text)):
        return False
    provenance = getattr(frame, "attrs", {}).get("provenance") or {}
    steps = provenance.get("steps", [])
    said = [provenance.get("water"), *(step.get(key) for step in steps for key in ("water", "water_given"))]
    said += [step.get("given") for step in steps if step.get("step") == "water_mask"]
    said = [value.get("given") if isinstance(value, Mapping) else value for value in said]
    return any(value is True or (isinstance(value, str) and value.strip().lower() == "given") for value in said)
