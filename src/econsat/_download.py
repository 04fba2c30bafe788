"""The one place where sample files cross the network: a checked download into the cache folder."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import requests

from econsat.errors import DataError

with warnings.catch_warnings():
    # it imports a progress bar that, in a notebook without ipywidgets, asks for them; none is drawn here
    warnings.filterwarnings("ignore", message="IProgress not found")
    import pooch

__all__ = ["cache_folder", "retrieve"]

_TIMEOUT = 60.0


def cache_folder() -> Path:
    """Return the folder of downloaded files: `ECONSAT_CACHE`, else the user's cache folder."""
    chosen = os.environ.get("ECONSAT_CACHE", "")
    return Path(chosen).expanduser() if chosen else Path(pooch.os_cache("econsat"))


def retrieve(addresses: Sequence[str], *, sha256: str, target: Path) -> Path:
    """Download a file from the first address that has it, and check it; nothing is kept that fails the check.

    Raises
    ------
    DataError
        No address could be read, or what came is not the file that was meant.
    """
    # pooch announces every download on a logger with a handler of its own.
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.WARNING)
    problems = []
    try:
        for address in addresses:
            try:
                pooch.retrieve(
                    url=address,
                    known_hash=f"sha256:{sha256}",
                    fname=target.name,
                    path=target.parent,
                    downloader=pooch.HTTPDownloader(timeout=_TIMEOUT, progressbar=False),
                )
            except requests.RequestException as error:
                problems.append(f"{address}: {error}")
            except ValueError as error:
                problems.append(f"{address}: {error}")
            except OSError as error:
                raise DataError(f"{target} cannot be written: {error}; set ECONSAT_CACHE to another folder") from error
            else:
                return target
    finally:
        logger.setLevel(level)
    raise DataError(
        "the file could not be downloaded: "
        + "; ".join(problems)
        + ". Without a network, set ECONSAT_SAMPLES to a folder "
        "that holds the files, or ECONSAT_CACHE to one that they were downloaded into before."
    )
