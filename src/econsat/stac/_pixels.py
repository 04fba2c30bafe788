"""What pixels say about the metadata that describe them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from econsat.stac._products import S2_OFFSET_DN

if TYPE_CHECKING:
    from econsat.stac._stored import Radiometry

__all__ = ["Finding", "check_pixels", "missing", "offset_already_applied"]

# As many pixels as tell a share of a thousandth; more would cost time at each read.
_SAMPLE = 2**16
_ENOUGH = 1000
_TAKEN_OFF = 0.2
# With the offset in them, dark water, shadow and vegetation lie just above 1000 (reflectance 0 to 0.03), and hardly
# anything below: noise of the darkest water.
_STILL_IN, _DARK = 0.02, 300.0
_ZEROS = 0.5


@dataclass(frozen=True)
class Finding:
    """A contradiction between pixels and metadata.

    Attributes
    ----------
    kind : str
        ``"offset taken off"`` (the metadata ask for an offset, the pixels look as if it had been applied),
        ``"offset still in"`` (the other way round) or ``"zeros"`` (a scene filled with zeros).
    text : str
        What was seen, without figures: the same for all windows of one band.
    share : float
        Share of the pixels on which it rests.
    pixels : int
        How many pixels were looked at.
    """

    kind: str
    text: str
    share: float
    pixels: int


def missing(stored: NDArray[Any], nodata: float | None) -> NDArray[np.bool_] | None:
    """Return where stored numbers are a fill value, None where that value cannot occur."""
    if nodata is None or math.isnan(nodata):
        return None
    if stored.dtype.kind == "f":
        # In the type of the pixels: -999.9 as a double equals no float32.
        largest = float(np.finfo(stored.dtype).max)
        if largest < abs(nodata) < math.inf:
            # The largest float32, a common fill value, is often written rounded up; anything beyond it is in no pixel.
            if not math.isclose(abs(nodata), largest, rel_tol=1e-6):
                return None
            nodata = math.copysign(largest, nodata)
        return np.asarray(stored == stored.dtype.type(nodata))
    limits = np.iinfo(stored.dtype)
    if not (float(nodata).is_integer() and limits.min <= nodata <= limits.max):
        return None
    return np.asarray(stored == stored.dtype.type(int(nodata)))


def offset_already_applied(stored: NDArray[Any], *, nodata: float | None = 0.0, share: float = _TAKEN_OFF) -> bool:
    """Tell from the pixels whether the Sentinel-2 offset of -1000 has been taken off already.

    Where it has not, hardly a valid pixel lies below 1000. Catalogs are known to be wrong about it, both ways
    (issues 66 and 71 of Earth Search), and a scene of deep shadow or dark water may look like it: take it as
    a reason to look.

    Parameters
    ----------
    stored : numpy.ndarray, any shape
        Stored numbers of one reflectance band.
    nodata : float, optional
        Stored number that means "no data".
    share : float, optional
        Share of valid pixels below 1000 from which the answer is yes.

    Returns
    -------
    bool

    Examples
    --------
    >>> import numpy as np
    >>> offset_already_applied(np.array([0, 310, 420, 2500])), offset_already_applied(np.array([0, 1310]))
    (True, False)
    """
    fill = missing(stored, nodata)
    valid = stored if fill is None else stored[~fill]
    return bool(valid.size) and float(np.mean(valid < -S2_OFFSET_DN)) > share


def check_pixels(stored: NDArray[Any], radiometry: Radiometry, *, where: str = "the band") -> Finding | None:
    """Hold the pixels of a window against what the metadata say of them; nothing is changed.

    Sentinel-2 from processing baseline 04.00 on: if the offset of -1000 is to be applied, more than 20 % of the valid
    pixels below 1000 (which would be negative reflectance) say that it has been taken off already; if it is said to be
    taken off, hardly a pixel below 1000 (2 %) and the next darkest ones below 1300 say that it is still in. A window of
    fewer than 1000 valid pixels says nothing. Products of which zero-filled scenes are known (Sentinel-1 RTC): more
    than half of the window is zero.

    It is a reason to look, not a proof. In scenes simulated from reflectances, water whose mean lies within half the
    noise of zero (or below, after too much haze was taken off) is told of though its offset is right; snow, cloud,
    desert and dense vegetation in the near infrared, which have no dark pixels, are never told of, right or wrong.

    Parameters
    ----------
    stored : numpy.ndarray, any shape
        Numbers as they stand in the file; of a large window a sample is looked at.
    radiometry : Radiometry
        How they are read.
    where : str, optional
        Whose they are, for the text.

    Returns
    -------
    Finding or None

    Examples
    --------
    >>> import numpy as np
    >>> from econsat.stac.radiometry import Radiometry
    >>> asked = Radiometry("uint16", nodata=0.0, scale=1e-4, offset=-0.1, offset_in_doubt=True)
    >>> check_pixels(np.full((64, 64), 350, "uint16"), asked).kind
    'offset taken off'
    """
    flat = stored.reshape(-1)
    sample = flat[:: max(1, flat.size // _SAMPLE)]
    if radiometry.zeros_in_doubt and sample.size:
        zeros = float(np.mean(sample == 0))
        if zeros > _ZEROS:
            text = (
                f"{where}: most of a window is zero, which is no measurement: such scenes are known to be filled with "
                "zeros; these pixels are missing"
            )
            return Finding("zeros", text, zeros, int(sample.size))
    if not radiometry.offset_in_doubt:
        return None
    fill = missing(sample, radiometry.nodata)
    valid = sample if fill is None else sample[~fill]
    if valid.size < _ENOUGH:
        return None
    below = float(np.mean(valid < -S2_OFFSET_DN))
    if radiometry.offset != 0.0:
        if below <= _TAKEN_OFF:
            return None
        text = (
            f"{where}: an offset of {radiometry.offset:g} is applied ({radiometry.offset_from}), but many pixels lie "
            "below 1000: it looks as if it had been taken off before. Nothing is changed; radiometry= of load would"
        )
        return Finding("offset taken off", text, below, int(valid.size))
    if below > _STILL_IN or float(np.quantile(valid, _STILL_IN)) > -S2_OFFSET_DN + _DARK:
        return None
    text = (
        f"{where}: no offset is applied ({radiometry.offset_from}), but hardly a pixel lies below 1000 and the darkest "
        "lie just above: it looks as if an offset of 1000 were still in. Nothing is changed; radiometry= of load would"
    )
    return Finding("offset still in", text, 1.0 - below, int(valid.size))
