"""Where the bundled data and notebooks lie (inside the wheel, or in a source checkout), and where downloads go."""

from __future__ import annotations

import os
from pathlib import Path

from econsat.errors import DataError

__all__ = ["cache_folder", "data_dir", "notebooks_dir"]

_PACKAGE = Path(__file__).resolve().parent


def _find(installed: str, checkout: str, marker: str) -> Path:
    places = (_PACKAGE / installed, _PACKAGE.parent.parent / checkout)
    for place in places:
        if (place / marker).exists():
            return place
    seen = " and ".join(str(place) for place in places)
    raise DataError(f"econsat's bundled {checkout}/ was not found: looked for {marker!r} in {seen}. Reinstall econsat.")


def cache_folder() -> Path:
    """Return the folder of downloaded files: `ECONSAT_CACHE`, else the user's cache folder."""
    import platformdirs

    chosen = os.environ.get("ECONSAT_CACHE", "")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("econsat"))


def data_dir() -> Path:
    """Return the folder of the bundled catalog and tables."""
    return _find("_data", "data", "SHA256SUMS")


def notebooks_dir() -> Path:
    """Return the folder of the curated notebooks."""
    return _find("_notebooks", "notebooks", "00-start-here.ipynb")
