"""A file fetched over as many tries as it takes, each going on where the last one broke off."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from econsat.access._answer import Answer
from econsat.access._content import looks_like_html, same_etag, span
from econsat.access._part import Part
from econsat.access._version import tag
from econsat.access._watch import TryError
from econsat.access.redact import shown, unsigned
from econsat.errors import AccessError

__all__ = ["Download"]

_CHUNK = 1 << 18


class Download:
    """One file on its way to its place.

    Parameters
    ----------
    href : str
        Where it comes from.
    target : Path
        Its place.
    what, expected_bytes, sha256, check, max_bytes, progress, advice
        As for `econsat.access.transport.Transport.download`.
    """

    def __init__(
        self,
        href: str,
        target: Path,
        *,
        what: str,
        expected_bytes: int | None,
        sha256: str | None,
        check: Callable[[Path], str] | None,
        max_bytes: int,
        progress: Callable[..., Any] | None,
        advice: str,
    ) -> None:
        self._href, self._target, self._what = href, target, what
        self._expected, self._sha256, self._check, self._max = expected_bytes, sha256, check, max_bytes
        self._progress, self._bar = progress, None
        self._part = Part(target, href, advice)
        # Whether some of it came in an earlier answer, so that a wrong whole may be put down to that.
        self._patched = self._part.size > 0

    def run(self, fetch: Callable[[], int]) -> int:
        """Fetch the file, check it and put it into its place."""
        keep = True
        try:
            while True:
                size = fetch()
                self._part.whole()
                wrong = self._wrong()
                if wrong is None:
                    self._part.place()
                    return size
                if not self._patched:
                    keep = False
                    raise wrong
                self._restart()
        except AccessError as error:
            keep = keep and error.kind not in ("changed", "encoding", "expired", "html", "redirect", "size")
            raise
        finally:
            if keep:
                self._part.keep()
            else:
                self._part.discard()
            if self._bar is not None:
                self._bar.close()

    def kept(self) -> int:
        """Return the bytes that are there."""
        return self._part.size

    def headers(self) -> dict[str, str]:
        """Return what the next request says about the bytes that are there."""
        validator = self._part.validator
        if not self._part.size:
            return {}
        if validator is None:
            self._restart()
            return {}
        return {"range": f"bytes={self._part.size}-", "if-range": validator}

    def take(self, answer: Answer, _: str) -> int:
        """Add an answer's body to what is there."""
        part = self._part
        encoding = answer.headers.get("content-encoding", "identity")
        if encoding.lower() not in ("", "identity"):
            raise TryError("encoding", f"it came in the encoding {encoding!r:.40}, although none was asked for")
        if answer.status != 200:
            self._go_on(answer)
        elif part.size:
            self._restart()
        part.etag, part.last_modified = tag(answer.headers.get("etag")), answer.headers.get("last-modified")
        total = None if answer.promised is None else part.size + answer.promised
        found = span(answer.headers.get("content-range", "")) if answer.status == 206 else None
        if found is not None and total not in (None, found[1]):
            raise TryError(
                "length",
                f"a range of {found[1] - found[0]:,} bytes has a body of {answer.promised:,}",
                passing=True,
                status=206,
            )
        self._start_bar(total)
        for chunk in answer.chunks(_CHUNK):
            if not part.size and looks_like_html(chunk):
                raise TryError(
                    "html", "what the server sent is an HTML page (a login page?), not the file", status=answer.status
                )
            self._fits(max(total or 0, part.size + len(chunk)), total)
            part.write(chunk)
            self._tick(len(chunk))
        if found is not None and part.size != found[1]:
            here = part.size
            self._restart()
            raise TryError("length", f"{here:,} bytes came, and {found[1]:,} were said", passing=True, status=206)
        if not part.size and self._expected != 0:
            raise TryError("empty", "what the server sent is empty", passing=True, status=answer.status)
        self._fits(part.size, part.size)
        return part.size

    def _go_on(self, answer: Answer) -> None:
        """See to it that an answer begins where the last one broke off, in the same version."""
        part, came = self._part, tag(answer.headers.get("etag"))
        found = span(answer.headers.get("content-range", ""))
        same = same_etag(part.etag, came) if came is not None and part.etag is not None else self._as_old(answer)
        if (
            answer.status == 206
            and found is not None
            and found[0] == part.size
            and found[2] in (None, found[1])
            and same
        ):
            self._patched = True
            return
        self._restart()
        raise TryError(
            "changed" if not same else "range",
            f"the server did not go on where it broke off (HTTP {answer.status})",
            passing=True,
            status=answer.status,
        )

    def _as_old(self, answer: Answer) -> bool:
        """Say whether an answer has the date of what is there, as far as both have one."""
        came, held = answer.headers.get("last-modified"), self._part.last_modified
        return came is None or held is None or came == held

    def _fits(self, size: int, total: int | None) -> None:
        if size > self._max:
            self._restart()
            raise TryError("size", f"{size:,} bytes, but only {self._max:,} are allowed (`max_bytes`)")
        if self._expected is not None and total is not None and total != self._expected:
            self._restart()
            raise TryError("length", f"it has {total:,} bytes, and {self._expected:,} were expected")

    def _wrong(self) -> AccessError | None:
        came = self._part.digest.hexdigest()
        if self._sha256 is not None and came != self._sha256.lower():
            words, kind = f"has the SHA-256 {came}, and {self._sha256} was expected", "checksum"
        else:
            words, kind = self._check(self._part.path) if self._check is not None else "", "checksum"
        if not words:
            return None
        where = f"{self._what} ({shown(self._href)})" if self._what else shown(self._href)
        return AccessError(
            f"{where}: what the server sent {words}. Nothing was kept", kind=kind, href=unsigned(self._href)
        )

    def _restart(self) -> None:
        self._patched = False
        self._tick(-self._part.restart())

    def _start_bar(self, total: int | None) -> None:
        if self._progress is not None and self._bar is None:
            self._bar = self._progress(desc=self._target.name, total=total, unit="B", unit_scale=True)
            self._tick(self._part.size)

    def _tick(self, count: int) -> None:
        if self._bar is not None and count:
            self._bar.update(count)
