"""How bytes may enter: one frozen set of rules and patience, handed to everything that asks a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from econsat.access.policy import Policy
from econsat.errors import ParameterError

if TYPE_CHECKING:
    from econsat.access._signed import Signer
    from econsat.access.cache import Cache
    from econsat.access.links import Link

__all__ = ["Access"]


@dataclass(frozen=True)
class Access:
    """Rules, patience, signatures and cache of everything that crosses a network.

    Frozen and picklable: workers of a cluster work by the same rules. Header values and signers do not show
    themselves.

    Parameters
    ----------
    policy : Policy
        Which addresses, drivers and sizes are allowed.
    connect : float
        Seconds to wait for a connection.
    timeout : float
        Seconds of silence after which an answer is given up.
    total : float
        Seconds that one request may take in all, tries and pauses included. A range of a file has a second more for
        each 1,000 bytes, and a download begins anew with every byte that comes.
    min_speed : float
        Bytes a second below which, on average over `timeout` seconds, a body is given up as a slow drip.
    retries : int
        How often a request is tried again after a passing fault.
    backoff : float
        Seconds of the first pause; doubled each time, and drawn between half and all of that.
    headers : mapping, optional
        HTTP headers for the host that the user named (a key), never for another one.
    sign : "auto", Signer, callable or None
        Who signs addresses, at each request anew. ``"auto"``: Planetary Computer's, for its own items.
    cache : Cache or None
        Where ranges of files are kept. None: nowhere.
    link : Link, optional
        The link that is read over, or its name or figures, as `econsat.plan` takes them: it says which
        ranges are worth a request of their own.
    connections : int
        Requests under way at once.

    Examples
    --------
    >>> Access(retries=2).timeout
    30.0
    """

    policy: Policy = field(default_factory=Policy)
    connect: float = 10.0
    timeout: float = 30.0
    total: float = 600.0
    min_speed: float = 100.0
    retries: int = 5
    backoff: float = 0.5
    headers: Mapping[str, str] | None = field(default=None, repr=False)
    sign: str | Signer | Callable[[str], str] | None = field(default="auto", repr=False)
    cache: Cache | None = None
    link: Link | None = None
    connections: int = 32

    def __post_init__(self) -> None:
        for key in ("connect", "timeout", "total"):
            value = getattr(self, key)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
                raise ParameterError(
                    f"{key} = {value!r}: a number of seconds above 0 is needed (waiting forever is not offered)"
                )
        for key in ("min_speed", "backoff"):
            value = getattr(self, key)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < float("inf"):
                raise ParameterError(f"{key} = {value!r}: a number, 0 or more, is needed")
        for key, least in (("retries", 0), ("connections", 1)):
            value = getattr(self, key)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ParameterError(f"{key} = {value!r}: a whole number, {least} or more, is needed")
        from econsat.access.cache import Cache
        from econsat.access.links import link

        if not isinstance(self.policy, Policy):
            raise ParameterError(f"policy is of type {type(self.policy).__name__}: pass an econsat.access.Policy")
        if self.cache is not None and not isinstance(self.cache, Cache):
            raise ParameterError(
                f"cache = {self.cache!r:.80}: pass Cache(folder) of econsat.access, or None to keep nothing"
            )
        if self.link is not None:
            object.__setattr__(self, "link", link(self.link))
        if self.headers is not None and not (
            isinstance(self.headers, Mapping)
            and all(isinstance(text, str) for pair in self.headers.items() for text in pair)
        ):
            raise ParameterError("headers: pass a mapping of names to values, both text (they are not shown here)")
        if isinstance(self.sign, str) and self.sign != "auto":
            raise ParameterError(f'sign = {self.sign!r}: pass "auto", a signer, a function or None')
