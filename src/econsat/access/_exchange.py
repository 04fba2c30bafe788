"""One try of one request: signed, sent, and followed by hand wherever it is sent on to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urljoin, urlsplit

from econsat.access._answer import Answer
from econsat.access._connection import Connector
from econsat.access._tally import Tally
from econsat.access._watch import Hidden, Secrets, TryError, Watch
from econsat.access.policy import Policy
from econsat.access.redact import shown

if TYPE_CHECKING:
    from econsat.access._signed import Signer

__all__ = ["Ask", "Exchange", "host_of"]

_REDIRECTS = (301, 302, 303, 307, 308)
# Headers that grant nothing and so may go on to another host; every other one stays behind.
_HARMLESS = frozenset(
    {
        "accept", "accept-encoding", "accept-language", "content-type", "if-match", "if-modified-since",
        "if-none-match", "if-range", "if-unmodified-since", "range", "user-agent",
    }
)  # fmt: skip
_AGENT = "econsat"
# Shorter values are ordinary words, which an error message may need.
_SECRET_LENGTH = 8


@dataclass(frozen=True)
class Ask:
    """What is asked for, before it is signed."""

    method: str
    href: str
    what: str = ""
    found_in: str | None = None
    body: bytes | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    signer: Signer | None = field(default=None, repr=False)
    extra: Callable[[], Mapping[str, str]] | None = field(default=None, repr=False)
    """Headers that differ from try to try."""
    onward: Callable[[str], object] | None = field(default=None, repr=False)
    """Told each address that the request is sent on to, before that is asked; may raise."""


@dataclass
class Exchange:
    """Sends requests, one try at a time."""

    policy: Policy
    connector: Connector
    tally: Tally

    def once(self, ask: Ask, watch: Watch, *, fresh: bool = False) -> tuple[Answer, str, Secrets]:
        """Return the last answer, the address it came from, and texts that no message may hold.

        Parameters
        ----------
        ask : Ask
            The request.
        watch : Watch
            The patience of this try.
        fresh : bool
            Whether the signature must be a new one.

        Raises
        ------
        TryError
            No answer, or redirects that lead nowhere.
        RefusedError
            An address on the way may not be asked.
        """
        href, headers = ask.href, Hidden({"accept-encoding": "identity", "user-agent": _AGENT})
        headers.update((key.lower(), value) for key, value in ask.headers.items())
        if ask.extra is not None:
            headers.update(ask.extra())
        if ask.signer is not None:
            signed = ask.signer.sign(href, fresh=fresh)
            href = signed.href
            headers.update((key.lower(), value) for key, value in signed.headers.items())
        method, body, found_in = ask.method, ask.body, ask.found_in
        here = self.policy.check(href, found_in=found_in, what=ask.what)
        secrets = _secrets(here, headers)
        seen: Counter[tuple[str, str]] = Counter()
        for _ in range(self.policy.max_redirects + 1):
            seen[method, here] += 1
            # Once may be a server that needed to wake up; a circle never ends.
            if seen[method, here] > 2:
                raise TryError("redirect", f"its redirects lead in a circle, back to {shown(here)}")
            watch.check = _Check(self.policy, found_in, ask.what)
            self.tally.add(host=host_of(here), requests=1)
            answer = self.connector.ask(method, here, body=body, headers=headers, watch=watch)
            if answer.status not in _REDIRECTS:
                return answer, here, secrets
            status, location = answer.status, answer.headers.get("location", "")
            # A short body is read so that the connection can be used again.
            if answer.promised is not None and answer.promised <= 1 << 16:
                answer.start(answer.promised)
            answer.close()
            after = self._onward(here, location, ask)
            if _origin(after) != _origin(here):
                headers = Hidden((key, value) for key, value in headers.items() if key in _HARMLESS)
            if status == 303 and method != "HEAD":
                # RFC 9110, section 15.4.4. After 301 and 302 a POST stays one: a search that loses its body finds
                # something else, in silence.
                method, body = "GET", None
                headers.pop("content-type", None)
            found_in, here = here, after
            secrets = Secrets(secrets | _secrets(here, {}))
        raise TryError("redirect", f"it leads to more than {self.policy.max_redirects} redirects (`max_redirects`)")

    def _onward(self, here: str, location: str, ask: Ask) -> str:
        if not location:
            raise TryError("redirect", "it leads to nowhere: a redirect without an address")
        try:
            after = urljoin(here, location)
            scheme = urlsplit(after).scheme.lower()
        except ValueError:
            raise TryError("redirect", "it leads to something that is no address") from None
        if scheme == "http" and urlsplit(here).scheme == "https":
            raise TryError("redirect", f"it leads from https to {shown(after)}, which is no https address")
        what = f"{ask.what + ', ' if ask.what else ''}sent on from {shown(here)}"
        after = self.policy.check(after, found_in=here, what=what)
        if ask.onward is not None:
            ask.onward(after)
        return after


@dataclass(frozen=True)
class _Check:
    """The rules for addresses that a name stands for, in the place where it was found."""

    policy: Policy
    found_in: str | None
    what: str

    def __call__(self, host: str, address: str) -> None:
        self.policy.check_peer(host, address, found_in=self.found_in, what=self.what)


def host_of(href: str) -> str:
    """Return host and port of an address, nothing where it has none.

    Examples
    --------
    >>> host_of("https://example.org/a.tif?sig=x"), host_of("http://127.0.0.1:8080/")
    ('example.org', '127.0.0.1:8080')
    """
    try:
        return urlsplit(href).netloc.rpartition("@")[2].lower()
    except ValueError:
        return ""


def _origin(href: str) -> tuple[str, str]:
    parts = urlsplit(href)
    return parts.scheme, parts.netloc


def _secrets(href: str, headers: Mapping[str, str]) -> Secrets:
    found = [value for key, value in headers.items() if key not in _HARMLESS]
    found += [word for value in found for word in value.split()]
    query = urlsplit(href).query
    found += [value for _, value in parse_qsl(query)]
    # A server may quote them as they were sent.
    found += [piece.partition("=")[2] for piece in query.split("&")]
    return Secrets(text for text in found if len(text) >= _SECRET_LENGTH)
