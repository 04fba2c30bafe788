"""The one place where sample files cross the network: a checked download into the cache folder."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Sequence
from pathlib import Path

from econsat.access.settings import Access
from econsat.access.transport import Transport
from econsat.errors import AccessError, DataError

with warnings.catch_warnings():
    # it imports a progress bar that, in a notebook without ipywidgets, asks for them; none is drawn here
    warnings.filterwarnings("ignore", message="IProgress not found")
    import pooch

__all__ = ["retrieve"]


def retrieve(addresses: Sequence[str], *, sha256: str, target: Path, access: Access | None = None) -> Path:
    """Download a file from the first address that has it, and check it; nothing is kept that fails the check.

    Parameters
    ----------
    addresses : sequence of str
        Where it may be had.
    sha256 : str
        Its checksum.
    target : Path
        Its place.
    access : Access, optional
        Rules and patience.

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
        with Transport(access or Access(retries=2)) as transport:
            for address in addresses:
                try:
                    pooch.retrieve(
                        url=address,
                        known_hash=f"sha256:{sha256}",
                        fname=target.name,
                        path=target.parent,
                        downloader=_Downloader(transport, target, sha256),
                    )
                except AccessError as error:
                    problems.append(str(error))
                except ValueError as error:
                    problems.append(f"{address}: {error}")
                except OSError as error:
                    raise DataError(
                        f"{target} cannot be written: {error}; set ECONSAT_CACHE to another folder"
                    ) from error
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


class _Downloader:
    """Fetches for pooch.

    Pooch hands a new place each time; what broke off is kept beside the file's own, where a later run finds it.
    """

    def __init__(self, transport: Transport, target: Path, sha256: str) -> None:
        self._transport, self._target, self._sha256 = transport, target, sha256

    def __call__(self, url: str, output_file: str, pooch: object) -> None:  # noqa: ARG002
        self._transport.download(url, self._target, sha256=self._sha256, advice="set ECONSAT_CACHE to another folder")
        os.replace(self._target, output_file)
