"""Files that are written wholly or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from econsat.errors import ParameterError

__all__ = ["target_of", "written_whole"]


def target_of(path: str | os.PathLike[str], *, overwrite: bool) -> Path:
    """Return the file to write; refuse one that is there, or whose folder is not.

    Examples
    --------
    >>> import tempfile
    >>> target_of(f"{tempfile.mkdtemp()}/a.nc", overwrite=False).name
    'a.nc'
    """
    target = Path(os.fspath(path)).expanduser()
    if target.exists() and not overwrite:
        raise ParameterError(f"{target} is there already: pass overwrite=True to replace it")
    if not target.parent.is_dir():
        raise ParameterError(f"{target} cannot be written: there is no folder {target.parent}")
    return target


@contextmanager
def written_whole(target: Path) -> Iterator[Path]:
    """Give a new file beside `target`, which takes its place at the end; after an error nothing is left of it.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp(), "a.txt")
    >>> with written_whole(target) as draft:
    ...     _ = draft.write_text("all of it")
    >>> target.read_text(), [each.name for each in target.parent.iterdir()]
    ('all of it', ['a.txt'])
    """
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}-", suffix=".part")
    os.close(handle)
    draft = Path(name)
    try:
        yield draft
        with draft.open("r+b") as file:
            os.fsync(file.fileno())
        draft.chmod(0o644)
        draft.replace(target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
