"""econsat: from satellite imagery in STAC catalogs to economic indicators that someone can defend.

Everything is imported on first use, so ``import econsat`` reads nothing and costs little.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from econsat import (
        cubes as cubes,
        datasets as datasets,
        errors as errors,
        indicators as indicators,
        items as items,
        maps as maps,
        models as models,
        proxies as proxies,
        regions as regions,
        reports as reports,
        stac as stac,
        testing as testing,
        zonal as zonal,
    )
    from econsat.errors import EconsatError as EconsatError, EconsatWarning as EconsatWarning
    from econsat.stac._plan import plan as plan
    from econsat.stac.catalog import Catalog as Catalog, open_catalog as open_catalog
    from econsat.stac.cube import load as load

    __version__: str

_SUBMODULES = (
    "cubes",
    "datasets",
    "errors",
    "indicators",
    "items",
    "maps",
    "models",
    "proxies",
    "regions",
    "reports",
    "stac",
    "testing",
    "zonal",
)
_NAMES = {
    "Catalog": "econsat.stac.catalog",
    "EconsatError": "econsat.errors",
    "EconsatWarning": "econsat.errors",
    "load": "econsat.stac.cube",
    "open_catalog": "econsat.stac.catalog",
    "plan": "econsat.stac._plan",
}

__all__ = [
    "Catalog",
    "EconsatError",
    "EconsatWarning",
    "__version__",
    "cubes",
    "datasets",
    "errors",
    "indicators",
    "items",
    "load",
    "maps",
    "models",
    "open_catalog",
    "plan",
    "proxies",
    "regions",
    "reports",
    "stac",
    "testing",
    "zonal",
]


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return import_module(f"econsat.{name}")
    if name in _NAMES:
        return getattr(import_module(_NAMES[name]), name)
    if name == "__version__":
        from importlib.metadata import version

        return version("econsat")
    raise AttributeError(f"module 'econsat' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
