"""What a signer is, and what it returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

__all__ = ["Signed", "Signer"]


@dataclass(frozen=True)
class Signed:
    """What one request needs: an address and headers. Neither shows itself.

    Attributes
    ----------
    href : str
        The address to ask.
    headers : mapping of str to str
        Headers to send to its host.
    """

    href: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@runtime_checkable
class Signer(Protocol):
    """Who signs addresses. Any object with these three methods will do; it is called from many threads at once."""

    def owns(self, href: str) -> bool:
        """Say whether it signs this address."""

    def sign(self, href: str, *, fresh: bool = False) -> Signed:
        """Return the signed address and headers.

        Parameters
        ----------
        href : str
            With or without signature; one that is good is left alone.
        fresh : bool
            The server refused what was signed last: sign anew.
        """

    def unsign(self, href: str) -> str:
        """Return the address as it may be kept."""
