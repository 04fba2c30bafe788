"""The quality flags of nightly VIIRS pictures (World Bank Light Every Night, ``.vflag.co.tif``), bit by bit.

Source of the fields: World Bank, Light Every Night, README, table 3 ("Bit-flag field descriptions for DNB 'vflag'
file"), https://worldbank.github.io/OpenNightLights/wb-light-every-night-readme.html. The rule of `good_pixels` was
decoded from the list of 98,304 "good" values that the World Bank publishes with its cleaning code; the list is exactly
the set of numbers that the rule accepts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from econsat.errors import ParameterError

__all__ = ["decode_vflag", "good_pixels"]

_FIELDS: dict[str, tuple[int, int, str, dict[int, str]]] = {
    "cloud_quality": (2, 1, "quality of the cloud mask", {0: "good", 1: "poor"}),
    "cloud": (3, 2, "cloud mask", {0: "clear", 1: "probably_cloudy", 2: "cloudy", 3: "unknown"}),
    "zero_lunar": (5, 1, "no moonlight", {0: "moonlight", 1: "no_moonlight"}),
    "day_night": (6, 2, "day, twilight or night", {0: "day", 1: "terminator", 2: "night", 3: "unknown"}),
    "undocumented": (8, 6, "bits 8 to 13, whose meaning is not published; 0 in all good pixels", {}),
    "stray_light": (14, 2, "stray sunlight", {0: "none", 1: "impact", 2: "corrected", 3: "impact_and_corrected"}),
    "lightning": (22, 2, "lightning", {0: "none", 1: "detected", 2: "spare", 3: "no_data"}),
    "high_energy_particle": (24, 1, "hit by a high-energy particle", {0: "no", 1: "yes"}),
    "no_data": (31, 1, "no data", {0: "no", 1: "yes"}),
}
"""Name: first bit, number of bits, what it is, what its values mean."""

_NO_DATA = 1 << 31
# What each field may be in a good pixel; the quality of the cloud mask and bits outside the fields are free.
_GOOD: dict[str, tuple[int, ...]] = {
    "cloud": (0,),
    "zero_lunar": (1,),
    "day_night": (2,),
    "undocumented": (0,),
    "stray_light": (0, 2, 3),
    "lightning": (0,),
    "high_energy_particle": (0,),
    "no_data": (0,),
}


def good_pixels(vflag: Any) -> Any:
    """Say which pixels of a night the World Bank's rule takes for good.

    Clear sky (bits 3-4 are 0), no moonlight (bit 5 is 1), night (bits 6-7 are 2), no uncorrected stray light (bits
    14-15 are 0, 2 or 3), no lightning (bits 22-23 are 0), no high-energy particle (bit 24 is 0), bits 8-13, which are
    not documented, all 0, and not "no data" (bit 31 is 0). The other bits are free, the quality of the cloud mask
    (bit 2) among them. So 3 x 2^15 = 98,304 of the 2^32 numbers are good.

    Parameters
    ----------
    vflag : xarray.DataArray, dask array or array_like, any shape
        The flags as stored, signed or not, or as float64 with NaN for pixels without flags (as `econsat.load` returns
        them). Lazy ones stay lazy.

    Returns
    -------
    As `vflag`, bool
        True for good pixels; False where there are no flags.

    Raises
    ------
    ParameterError
        The flags are float32, which cannot hold 32 bits, hold fractions, or are no numbers of 32 bits. Of lazy flags
        the last two show when they are computed.

    Examples
    --------
    >>> import numpy as np
    >>> clear_night = (1 << 5) | (2 << 6)
    >>> good_pixels(np.array([clear_night, clear_night | (3 << 3), -(2**31)], dtype="int32")).tolist()
    [True, False, False]
    >>> good_pixels(np.array([clear_night, np.nan])).tolist()
    [True, False]
    """
    good = _blockwise(_good, vflag, bool)
    if isinstance(good, xr.DataArray):
        good = good.rename("good_pixels")
        good.attrs = {"long_name": "good pixel by the World Bank's rule", "units": "1"}
    return good


def decode_vflag(vflag: xr.DataArray) -> xr.Dataset:
    """Take the flags of a night apart into named fields.

    Parameters
    ----------
    vflag : xarray.DataArray, any dims
        The flags, as `good_pixels` takes them. Lazy ones stay lazy.

    Returns
    -------
    xarray.Dataset
        Dims of `vflag`, uint8, one variable a field: `cloud_quality` (bit 2), `cloud` (3-4), `zero_lunar` (5),
        `day_night` (6-7), `undocumented` (8-13), `stray_light` (14-15), `lightning` (22-23), `high_energy_particle`
        (24), `no_data` (31). ``attrs["flag_values"]`` and ``attrs["flag_meanings"]`` say what the numbers mean, as in
        the CF conventions (section 3.5). NaN decodes like the stored "no data", 2^31.

    Raises
    ------
    ParameterError
        As for `good_pixels`, or `vflag` is no DataArray.

    Examples
    --------
    >>> flags = xr.DataArray([0b1010_0000, 0b1011_1000], dims="pixel")
    >>> fields = decode_vflag(flags)
    >>> fields.cloud.values.tolist(), fields.day_night.values.tolist()
    ([0, 3], [2, 2])
    >>> fields.cloud.attrs["flag_meanings"]
    'clear probably_cloudy cloudy unknown'
    """
    if not isinstance(vflag, xr.DataArray):
        raise ParameterError(f"`vflag` must be an xarray DataArray; got {type(vflag).__name__}.")
    out = {}
    for name, (first, count, what, meanings) in _FIELDS.items():
        layer = _blockwise(_Field(first, count), vflag, np.uint8)
        layer.attrs = {
            "long_name": what,
            "units": "1",
            "bits": f"{first}-{first + count - 1}" if count > 1 else f"{first}",
        }
        if meanings:
            layer.attrs["flag_values"] = np.array(list(meanings), dtype=np.uint8)
            layer.attrs["flag_meanings"] = " ".join(meanings.values())
        out[name] = layer
    return xr.Dataset(out)


class _Field:
    """Takes one field out of the flags; a class, since tasks must be picklable."""

    def __init__(self, first: int, count: int) -> None:
        self._first, self._mask = first, (1 << count) - 1

    def __call__(self, vflag: NDArray[Any]) -> NDArray[np.uint8]:
        return ((_words(vflag) >> np.uint32(self._first)) & np.uint32(self._mask)).astype(np.uint8)


def _good(vflag: NDArray[Any]) -> NDArray[np.bool_]:
    words = _words(vflag)
    good = np.ones(words.shape, dtype=bool)
    for name, allowed in _GOOD.items():
        first, count, _, _ = _FIELDS[name]
        good &= np.isin((words >> np.uint32(first)) & np.uint32((1 << count) - 1), np.array(allowed, dtype=np.uint32))
    return good


def _words(vflag: NDArray[Any]) -> NDArray[np.uint32]:
    """Return flags as unsigned 32-bit words; NaN becomes the stored "no data"."""
    if vflag.dtype.kind == "f":
        seen = np.isfinite(vflag)
        if bool(np.isinf(vflag).any()) or bool((vflag[seen] != np.floor(vflag[seen])).any()):
            raise ParameterError("`vflag` holds numbers that are not whole: flags must not be averaged or resampled.")
        vflag = np.where(seen, vflag, float(_NO_DATA)).astype(np.int64)
    if vflag.dtype.itemsize > 4 and vflag.size and (vflag.min() < -(1 << 31) or vflag.max() >= 1 << 32):
        raise ParameterError(f"`vflag` holds {vflag.min()} to {vflag.max()}: flags are words of 32 bits.")
    # Modulo 2^32: two's complement words come out as they are stored.
    return vflag.astype(np.uint32)


def _blockwise(function: Any, vflag: Any, dtype: Any) -> Any:
    kind = np.dtype(getattr(vflag, "dtype", None) or np.asarray(vflag).dtype)
    if kind.kind not in "iuf":
        raise ParameterError(f"`vflag` is of type {kind}: flags are whole numbers of 32 bits.")
    if kind.kind == "f" and kind.itemsize < 8:
        raise ParameterError(
            f"`vflag` is {kind}, which cannot hold words of 32 bits: bits are lost already. Read the flags as integers "
            "or float64."
        )
    if isinstance(vflag, xr.DataArray):
        return xr.apply_ufunc(function, vflag, dask="parallelized", output_dtypes=[dtype], keep_attrs=False)
    if hasattr(vflag, "map_blocks"):
        return vflag.map_blocks(function, dtype=dtype)
    return function(np.asarray(vflag))
