"""The files of a Sentinel-1 GRD folder: which belong to a polarisation."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from econsat.errors import ParameterError, ReadError, UnknownBandError

__all__ = ["Files", "find", "same_pixels"]

_POLARISATIONS = ("vv", "vh", "hh", "hv")
_PROBES, _PROBE = 7, 2**14


@dataclass(frozen=True)
class Files:
    """The files of one polarisation."""

    measurement: Path
    annotation: Path
    calibration: Path
    noise: Path | None
    manifest: Path | None
    others: tuple[Path, ...]
    """Measurements of the other polarisations."""

    @property
    def read(self) -> list[Path]:
        """All files that a result stands on."""
        return [p for p in (self.measurement, self.annotation, self.calibration, self.noise, self.manifest) if p]


def find(folder: str | Path, polarisation: str) -> Files:
    """Find the files of one polarisation, by the names that the mission and its mirrors give them.

    Parameters
    ----------
    folder : str or Path
        The SAFE folder.
    polarisation : str
        ``"vv"``, ``"vh"``, ``"hh"`` or ``"hv"``, in any case.

    Returns
    -------
    Files

    Raises
    ------
    ReadError
        There is no such folder, or it is not that of a product.
    UnknownBandError
        The polarisation is not there; the message names those that are.
    ParameterError
        `polarisation` is no polarisation.
    """
    if not isinstance(folder, (str, Path)):
        raise ParameterError(f"safe_dir is a {type(folder).__name__}: pass the path of a folder")
    root = Path(folder).expanduser()
    wanted = polarisation.lower() if isinstance(polarisation, str) else ""
    if wanted not in _POLARISATIONS:
        raise ParameterError(f"polarisation= is {polarisation!r}: pass one of {', '.join(_POLARISATIONS)}")
    if not root.is_dir():
        what = "a file: unpack it and pass the folder" if root.is_file() else "not there"
        raise ReadError(f"{root.name}: a Sentinel-1 product is a folder (.SAFE), and this is {what}.")
    measured = _by_polarisation(root, "measurement", "*.tif*")
    # Not */*.xml: annotation/rfi holds files of nearly the same name that describe interference.
    annotated = _by_polarisation(root, "annotation", "*.xml")
    calibrated = _by_polarisation(root, "annotation/calibration", "calibration-*.xml")
    noise = _by_polarisation(root, "annotation/calibration", "noise-*.xml")
    whole = [p for p in _POLARISATIONS if measured.get(p) and annotated.get(p) and calibrated.get(p)]
    if wanted not in whole:
        kinds = {"measurement": measured, "annotation": annotated, "calibration": calibrated}
        lacking = [name for name, found in kinds.items() if not found.get(wanted)]
        some = (
            f" (its {' and '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} missing)" if len(lacking) < 3 else ""
        )
        there = f"it has {', '.join(whole)}" if whole else "no polarisation of it is complete"
        raise UnknownBandError(f"{root.name} has no polarisation {wanted!r}{some}; {there}. Change polarisation=.")
    manifest = root / "manifest.safe"
    return Files(
        _one(measured[wanted], root, wanted),
        _one(annotated[wanted], root, wanted),
        _one(calibrated[wanted], root, wanted),
        _one(noise[wanted], root, wanted) if noise.get(wanted) else None,
        manifest if manifest.is_file() else None,
        tuple(path for key, paths in measured.items() if key != wanted for path in paths),
    )


def _by_polarisation(root: Path, below: str, pattern: str) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in sorted((root / below).glob(pattern)):
        # s1a-iw-grd-vh-20220612t173329-...-002.tiff at the mission, iw-vh.tiff at mirrors.
        parts = [part for part in re.split(r"[-_.]", path.stem.lower()) if part in _POLARISATIONS]
        if path.is_file() and len(parts) == 1:
            found.setdefault(parts[0], []).append(path)
    return found


def _one(paths: Iterable[Path], root: Path, polarisation: str) -> Path:
    listed = list(paths)
    if len(listed) > 1:
        names = ", ".join(path.name for path in listed)
        raise ReadError(f"{root.name}: several files of polarisation {polarisation!r} and one kind: {names}")
    return listed[0]


def same_pixels(files: Files) -> Path | None:
    """Return the measurement of another polarisation that holds the same bytes, which two real ones never do."""
    size = files.measurement.stat().st_size
    for other in files.others:
        if other.stat().st_size != size:
            continue
        mine, theirs = _probes(files.measurement, size), _probes(other, size)
        # Where nothing was seen all files are alike.
        if mine == theirs and any(len(set(probe)) > 1 for probe in mine):
            return other
    return None


def _probes(path: Path, size: int) -> list[bytes]:
    """Return pieces from all over a file but its beginning and its end, where what is said of the pixels stands."""
    found = []
    with path.open("rb") as file:
        for number in range(1, _PROBES + 1):
            file.seek(max(0, size * number // (_PROBES + 1) - _PROBE // 2))
            found.append(file.read(_PROBE))
    return found
