"""The errors and warnings of econsat: one small tree each, under `EconsatError` and `EconsatWarning`.

A message says what failed, where (item, asset, region), what was seen, and which argument to change.
"""

from __future__ import annotations

__all__ = [
    "AccessError",
    "BudgetError",
    "BudgetWarning",
    "CacheWarning",
    "CatalogError",
    "CoverageWarning",
    "CredentialsError",
    "DataError",
    "DegenerateErrorsWarning",
    "DroppedRowsWarning",
    "DuplicateFilesWarning",
    "DuplicateTimesWarning",
    "EconsatError",
    "EconsatWarning",
    "EmptySearchError",
    "FewClustersWarning",
    "GeometryWarning",
    "GridError",
    "IndicatorError",
    "MapError",
    "MapSizeWarning",
    "MissingAssetsWarning",
    "MissingCRSError",
    "MissingTilesWarning",
    "ModelError",
    "ModelWarning",
    "OutOfBoundsError",
    "ParameterError",
    "PartialPeriodWarning",
    "RadiometryError",
    "ReadError",
    "RefusedError",
    "RegionError",
    "ReportError",
    "ReportWarning",
    "SearchInterruptedError",
    "SizeError",
    "SmallUnitsWarning",
    "SuspectDataWarning",
    "SyntheticDataWarning",
    "TruncatedWarning",
    "UndatedWarning",
    "UnknownBandError",
]


class EconsatError(Exception):
    """Base of every error that econsat raises on purpose."""


class CatalogError(EconsatError, ValueError):
    """A catalog is unknown, cannot be reached, or refuses what was asked of it."""


class SearchInterruptedError(CatalogError):
    """A search broke off in the middle of its pages; what came is kept, and the message says how to go on."""


class EmptySearchError(EconsatError, LookupError):
    """A search matched nothing, or an empty collection of items was handed on."""


class UnknownBandError(EconsatError, LookupError):
    """A band was asked for that the items do not have."""


class OutOfBoundsError(EconsatError, ValueError):
    """A region lies wholly outside the scenes. Not raised by `zonal`, where such a region is missing."""


class MissingCRSError(EconsatError, ValueError):
    """A raster or a table of regions has no coordinate reference system."""


class GridError(EconsatError, ValueError):
    """A raster's grid is not one that econsat can compute on (irregular, rotated, without a size)."""


class RegionError(EconsatError, ValueError):
    """A place is unknown, ambiguous, or has no usable geometry."""


class RadiometryError(EconsatError, ValueError):
    """Digital numbers cannot be turned into physical units from what the metadata says."""


class ReadError(EconsatError, OSError):
    """Pixels could not be read; the message lists item, asset and reason."""


class AccessError(EconsatError, OSError):
    """Bytes could not be fetched.

    Attributes
    ----------
    kind : str
        What went wrong, in one word: ``"refused"``, ``"name"`` (look-up), ``"tls"``, ``"connection"``, ``"timeout"``,
        ``"status"``, ``"redirect"``, ``"length"``, ``"range"``, ``"encoding"``, ``"html"``, ``"empty"``, ``"changed"``,
        ``"expired"`` (signature), ``"checksum"``, ``"size"``, ``"damaged"`` (a file cannot be decoded), ``"format"`` (a
        file of another kind).
    status : int or None
        The HTTP status, where there was one.
    href : str
        The address, without signature.
    attempts : int
        How often it was tried.
    """

    def __init__(
        self, message: str, *, kind: str = "connection", status: int | None = None, href: str = "", attempts: int = 1
    ) -> None:
        super().__init__(message)
        self.kind, self.status, self.href, self.attempts = kind, status, href, attempts

    def __reduce__(self) -> tuple[object, ...]:
        state = {"kind": self.kind, "status": self.status, "href": self.href, "attempts": self.attempts}
        return _rebuild, (type(self), str(self), state)


class RefusedError(AccessError):
    """An address, a driver or a size is refused; the message names the rule, and the argument that would allow it."""


class BudgetError(EconsatError, ValueError):
    """A budget means nothing, or nothing useful can be read within it."""


class SizeError(EconsatError, MemoryError):
    """What was asked for would need more memory than was allowed."""


class IndicatorError(EconsatError, ValueError):
    """A table is not a valid table of indicators."""


class ModelError(EconsatError, ValueError):
    """A model cannot be estimated from the table it was given."""


class MapError(EconsatError, ValueError):
    """A map cannot be drawn, or would need a file from the network."""


class ReportError(EconsatError, RuntimeError):
    """A report could not be made; the message names the notebook's cell and the cause."""


class ParameterError(EconsatError, ValueError):
    """A parameter is unknown or of the wrong type."""


class DataError(EconsatError, RuntimeError):
    """Bundled or downloaded data are absent or fail their checksum."""


class CredentialsError(EconsatError, PermissionError):
    """A service needs a login, or refuses the one it was given; the message never holds it."""


def _rebuild(kind: type[AccessError], message: str, state: dict[str, object]) -> AccessError:
    # An OSError is pickled by its arguments alone, and workers send their errors home.
    error = kind(message)
    error.__dict__.update(state)
    return error


class EconsatWarning(UserWarning):
    """Base of every warning that econsat gives."""


class BudgetWarning(EconsatWarning):
    """To keep within a budget, coarser pixels were read than the files hold; the result says which."""


class CacheWarning(EconsatWarning):
    """The cache could not be used, or held something else than was put there; it was fetched again."""


class SuspectDataWarning(EconsatWarning):
    """Pixels look like missing data (long runs of zeros), or like another quantity; the result says where."""


class CoverageWarning(EconsatWarning):
    """Some regions have too few valid pixels and are missing from a result."""


class DroppedRowsWarning(EconsatWarning):
    """Rows were left out of an estimation; the count is in the result."""


class MapSizeWarning(EconsatWarning):
    """A map is so large that notebooks and browsers become slow."""


class ReportWarning(EconsatWarning):
    """Something that a notebook shows could not be put into a report; the report says so in its place."""


class ModelWarning(EconsatWarning):
    """An estimate contradicts what its model assumes, or was held at a bound of it; the result says which."""


class FewClustersWarning(EconsatWarning):
    """Standard errors are clustered by so few clusters that they are unreliable, as a rule too small."""


class DegenerateErrorsWarning(EconsatWarning):
    """A covariance gives a coefficient no positive variance; its standard error is missing."""


class SmallUnitsWarning(EconsatWarning):
    """Changes of night lights are regressed at units so small that lights say little about them."""


class SyntheticDataWarning(EconsatWarning):
    """Some of the data were simulated, not observed."""


class UndatedWarning(EconsatWarning):
    """A scene carries no date of its own, only the span in which its sensor can have taken it."""


class GeometryWarning(EconsatWarning):
    """Invalid geometries were repaired; the message counts and names them."""


class TruncatedWarning(EconsatWarning):
    """A search returned fewer items than matched; the message says how many."""


class DuplicateFilesWarning(EconsatWarning):
    """Two files hold one tile and date with identical content; one was read, and the message counts them."""


class MissingTilesWarning(EconsatWarning):
    """No file was given for some tiles and dates; they are missing in the result, and the message counts them."""


class MissingAssetsWarning(EconsatWarning):
    """Some items lack a file that belongs to them, such as their quality flags; the message counts and names them."""


class DuplicateTimesWarning(EconsatWarning):
    """Steps of a cube were dropped because they repeat a period; the message and the provenance count them."""


class PartialPeriodWarning(EconsatWarning):
    """A composite's period lacks some of its steps, so it does not compare with one that has them all."""
