"""Signatures that a test server asks for: valid for a while, for some uses, and refused as the clouds refuse them."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Literal
from urllib.parse import parse_qs, quote, urlencode

__all__ = ["Signatures"]

_AZURE = (
    '<?xml version="1.0" encoding="utf-8"?><Error><Code>AuthenticationFailed</Code><Message>Server failed to '
    "authenticate the request.</Message><AuthenticationErrorDetail>{detail}</AuthenticationErrorDetail></Error>"
)
_S3 = '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{detail}</Message></Error>'


@dataclass
class Signatures:
    """What a `FaultServer` asks of the addresses of protected paths, and the tokens that it hands out.

    ``style="azure"`` wants ``?st=...&se=...&sig=...`` and answers 403 with Azure's XML; ``style="s3"`` wants
    ``?X-Amz-Date=...&X-Amz-Expires=...&X-Amz-Signature=...`` and answers 403 with S3's. Signatures are made by an HMAC
    of `key`: they are for tests and protect nothing.

    Parameters
    ----------
    key : str
        The secret that signatures are made with.
    seconds : float
        How long a token is good for.
    uses : int or None
        How many requests a token is good for; None means any number.
    limited : int or None
        How many tokens, from the first made, `uses` holds for; None means every one.
    style : {"azure", "s3"}
        Whose parameters and error pages.
    only : str
        Which paths are protected, a shell pattern.
    endpoint : str
        Below this path the server hands out tokens: ``GET {endpoint}/{account}/{container}`` is answered with JSON of
        ``msft:expiry`` and ``token``, the shape of Planetary Computer's.
    start : float
        Seconds from now at which a token becomes valid (negative: it already is).
    clock : callable
        Returns the present moment in UTC; tests may move it.

    Examples
    --------
    >>> signatures = Signatures("key")
    >>> signatures.refusal("/a.tif", signatures.token()) is None
    True
    >>> status, headers, body = signatures.refusal("/a.tif", "")
    >>> status, headers["x-ms-error-code"]
    (403, 'AuthenticationFailed')
    >>> token = signatures.token()
    >>> signatures.revoke()
    >>> signatures.refusal("/a.tif", token)[0]
    403
    """

    key: str
    seconds: float = 3600.0
    uses: int | None = None
    limited: int | None = None
    style: Literal["azure", "s3"] = "azure"
    only: str = "*"
    endpoint: str = "/token"
    start: float = -60.0
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    _used: Counter[str] = field(default_factory=Counter, init=False, repr=False)
    _era: int = field(default=0, init=False, repr=False)
    _issued: int = field(default=0, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def token(self, *, seconds: float | None = None, start: float | None = None) -> str:
        """Make a query string that is good for protected paths.

        Parameters
        ----------
        seconds, start : float, optional
            Instead of the attributes of this name.

        Returns
        -------
        str
            Without the question mark.
        """
        now = self.clock()
        begin = now + timedelta(seconds=self.start if start is None else start)
        end = now + timedelta(seconds=self.seconds if seconds is None else seconds)
        with self._lock:
            self._issued += 1
            number = self._issued
        if self.style == "s3":
            # Whole seconds between the two stand in for S3's own start and length.
            length = round((end - begin).total_seconds())
            fields = {"X-Amz-Date": begin.strftime("%Y%m%dT%H%M%SZ"), "X-Amz-Expires": str(length), "n": str(number)}
            return urlencode({**fields, "X-Amz-Signature": self._hmac(fields)}, quote_via=quote)
        fields = {"st": _iso(begin), "se": _iso(end), "sp": "rl", "sr": "c", "n": str(number)}
        return urlencode({**fields, "sig": self._hmac(fields)}, quote_via=quote)

    def revoke(self) -> None:
        """Let every token that was made until now be refused as expired."""
        with self._lock:
            self._era += 1

    def answer(self, path: str) -> bytes | None:
        """Return the JSON of the token endpoint, or None when `path` does not lie below it."""
        parts = path.removeprefix(self.endpoint.rstrip("/") + "/").split("/")
        if not path.startswith(self.endpoint.rstrip("/") + "/") or len(parts) != 2 or not all(parts):
            return None
        end = self.clock() + timedelta(seconds=self.seconds)
        return json.dumps({"msft:expiry": _iso(end), "token": self.token()}).encode()

    def refusal(self, path: str, query: str) -> tuple[int, dict[str, str], bytes] | None:
        """Check the query string of a request.

        Parameters
        ----------
        path : str
            The path, unquoted.
        query : str
            The query string as it was sent.

        Returns
        -------
        tuple or None
            Status, headers and body of the refusal; None when the request may pass. A pass counts as a use.
        """
        if not fnmatchcase(path, self.only):
            return None
        sent = {key: values[0] for key, values in parse_qs(query).items()}
        name = "X-Amz-Signature" if self.style == "s3" else "sig"
        signature = sent.pop(name, "")
        if not signature:
            return self._refuse("AccessDenied", "No signature was sent.")
        names = ("X-Amz-Date", "X-Amz-Expires", "n") if self.style == "s3" else ("st", "se", "sp", "sr", "n")
        fields = {key: sent.get(key, "") for key in names}
        if not hmac.compare_digest(signature, self._hmac(fields)):
            with self._lock:
                eras = range(self._era)
            if not any(hmac.compare_digest(signature, self._hmac(fields, era)) for era in eras):
                return self._refuse("SignatureDoesNotMatch", "Signature did not match.")
            return self._refuse("AccessDenied", "Signature not valid in the specified time frame: revoked")
        begin, end = self._span(fields)
        if not begin <= self.clock() < end:
            return self._refuse("AccessDenied", f"Signature not valid in the specified time frame: {begin} to {end}")
        with self._lock:
            self._used[signature] += 1
            counts = self.limited is None or int(fields["n"]) <= self.limited
            spent = counts and self.uses is not None and self._used[signature] > self.uses
        return self._refuse("ExpiredToken", "Signature not valid in the specified time frame: used") if spent else None

    def _span(self, fields: dict[str, str]) -> tuple[datetime, datetime]:
        if self.style == "s3":
            begin = datetime.strptime(fields["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
            return begin, begin + timedelta(seconds=int(fields["X-Amz-Expires"]))
        return datetime.fromisoformat(fields["st"]), datetime.fromisoformat(fields["se"])

    def _refuse(self, code: str, detail: str) -> tuple[int, dict[str, str], bytes]:
        if self.style == "s3":
            said = "Request has expired" if "time frame" in detail else detail
            return 403, {"Content-Type": "application/xml"}, _S3.format(code=code, detail=said).encode()
        headers = {"Content-Type": "application/xml", "x-ms-error-code": "AuthenticationFailed"}
        return 403, headers, _AZURE.format(detail=detail).encode()

    def _hmac(self, fields: dict[str, str], era: int | None = None) -> str:
        with self._lock:
            now = self._era if era is None else era
        text = "\n".join(f"{k}={v}" for k, v in fields.items()) + f"\n{now}"
        return hmac.new(self.key.encode(), text.encode(), hashlib.sha256).hexdigest()


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
