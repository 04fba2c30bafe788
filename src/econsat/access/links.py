"""What a link costs: seconds from requests and bytes, and the gap across which two ranges are one request."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal, InvalidOperation
from types import MappingProxyType

from econsat.errors import BudgetError, ParameterError

__all__ = ["LINKS", "Link", "link", "parse_bytes"]

# Bytes of data in a full packet: Ethernet's 1500 less 40 for the headers of IPv4 and TCP (RFC 879, RFC 894).
_SEGMENT = 1460
# Mathis et al. 1997 for random loss and an acknowledgement of every packet.
_MATHIS = math.sqrt(3 / 2)

_TIMES = {"ms": 1e-3, "s": 1.0}
_RATES = {"bit/s": 1.0, "kbit/s": 1e3, "Mbit/s": 1e6, "Gbit/s": 1e9}
_SIZES = {
    "B": 1,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}
_QUANTITY = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([A-Za-z/%]*)\s*", re.ASCII)


def _in_range(key: str, value: object, low: float, high: float, needed: str) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise ParameterError(f"{key} = {value!r}: {needed}")


@dataclass(frozen=True)
class Link:
    """A way to the network, by the few figures that decide how long a read takes.

    Parameters
    ----------
    name : str
        What it is called in messages and results.
    latency_s : float
        Round trip to the server, in seconds.
    bandwidth_bit_s : float
        Down-link rate that all connections share, in bits a second.
    loss : float
        Share of packets that are lost, 0 or more and below 1.
    connections : int
        Requests under way at once, each on a connection of its own.
    handshakes : float
        Round trips until a new connection carries its first request: 1 for TCP (RFC 9293, 3.5) and 1 for TLS 1.3
        (RFC 8446, figure 1). TLS 1.2 takes 1 more, plain HTTP 1 less.

    Raises
    ------
    ParameterError
        A figure is no number, or out of its range.

    Notes
    -----
    With `k` connections, the lesser of `connections` and the number of requests,

    - a connection carries at most ``MSS / RTT * C / sqrt(loss)`` with MSS = 1460 bytes and C = sqrt(3/2) (Mathis,
      Semke, Mahdavi and Ott 1997, "The macroscopic behavior of the TCP congestion avoidance algorithm", ACM SIGCOMM
      Computer Communication Review 27(3), 67-82, doi:10.1145/263932.264023), all together `k` times that, and never
      more than the bandwidth;
    - ``seconds = RTT * (handshakes * ceil(hosts / k) + max(rounds, ceil(requests / k))) + 8 * bytes / rate``.

    Latency and transfer are added although they overlap in part, so the figure leans to the slow side. Not counted:
    name look-up, the server's own time, TCP's slow start (which proxies on geostationary links take away in part, RFC
    3135), decoding. Mathis's formula is one for loss-driven congestion control; senders that pace by rate do better on
    a lossy link. Against reads from a server on loopback that waited 30 to 600 ms and let 19 to 200 Mbit/s through, or
    all (40 to 300 requests, 2 to 18 MB, 8 to 32 connections), the model was between 3 % too fast and 21 % too slow;
    loss was not part of that.

    Examples
    --------
    >>> round(LINKS["fibre"].seconds(372, 174_900_000), 2)
    7.42
    """

    name: str
    latency_s: float
    bandwidth_bit_s: float
    loss: float = 0.0
    connections: int = 32
    handshakes: float = 2.0

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ParameterError(f"name = {self.name!r}: a link needs a name")
        _in_range(
            "latency_s", self.latency_s, 0, 60, "a round trip in seconds, up to 60 (milliseconds divided by 1000)"
        )
        _in_range(
            "bandwidth_bit_s",
            self.bandwidth_bit_s,
            1_000,
            1e13,
            "a rate in bits a second, 1,000 or more (Mbit/s times 1,000,000)",
        )
        _in_range("loss", self.loss, 0, 0.999, "a share of packets, 0 or more and below 1 (per cent divided by 100)")
        _in_range("handshakes", self.handshakes, 0, 20, "a number of round trips, 0 to 20")
        number = self.connections
        if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= 10_000:
            raise ParameterError(f"connections = {number!r}: a whole number from 1 to 10,000 is needed")

    @property
    def gap(self) -> int:
        """Bytes that cost as much as one more request.

        A request costs a round trip on one of the connections, while the others go on: the bytes that come in the
        meantime, divided by the connections. Two ranges that are closer are one request.
        """
        return int(self.rate_bit_s / 8 * self.latency_s / self.connections)

    @property
    def rate_bit_s(self) -> float:
        """Bits a second that all connections together carry."""
        return self._rate(self.connections)

    def seconds(self, requests: float, bytes: float, *, hosts: int = 1, rounds: int = 1) -> float:
        """Return about how long requests take.

        Parameters
        ----------
        requests : int
            How many, each for a range of some file.
        bytes : int
            Bytes of all their bodies.
        hosts : int
            Servers they go to; each needs a connection of its own.
        rounds : int
            Requests that must wait for the answer of one before: 2 where a header says which tiles to ask for.

        Returns
        -------
        float
            Seconds; see the class for the formula.

        Raises
        ------
        ParameterError
            A number is none, or below 0.

        Examples
        --------
        >>> Link("slow", 0.5, 8e6).seconds(2, 1_000_000, rounds=2)
        3.0
        """
        for key, value in {"requests": requests, "bytes": bytes, "hosts": hosts, "rounds": rounds}.items():
            _in_range(key, value, 0, 1e18, "a number, 0 or more")
        if not requests:
            if bytes:
                raise ParameterError(f"bytes = {bytes!r}: no request carries them (requests = 0)")
            return 0.0
        lanes = max(1, min(self.connections, math.ceil(requests)))
        waits = self.handshakes * math.ceil(max(1, hosts) / lanes) + max(rounds, math.ceil(requests / lanes))
        return self.latency_s * waits + 8 * bytes / self._rate(lanes)

    def _rate(self, lanes: int) -> float:
        if not self.loss or not self.latency_s:
            return float(self.bandwidth_bit_s)
        each = 8 * _SEGMENT / self.latency_s * _MATHIS / math.sqrt(self.loss)
        return min(float(self.bandwidth_bit_s), lanes * each)


LINKS: Mapping[str, Link] = MappingProxyType(
    {
        # 204 Mbit/s: median of fixed lines in the metropolitan United States, first quarter of 2023 (Ookla, "New
        # Speedtest data shows Starlink users love their provider", 8 May 2023). 30 ms: 14 ms to a test server nearby
        # (median of fixed lines, second quarter of 2021, Ookla, "How Starlink's satellite internet stacks up", 2021)
        # and 16 ms for the way to a data centre, an assumption, as is the loss.
        "fibre": Link("fibre", latency_s=0.030, bandwidth_bit_s=200e6, loss=1e-5),
        # 45 ms: median of Starlink in the United States, second quarter of 2021 (Ookla, as above), and 50 ms to servers
        # in Europe, first months of 2022 (Michel et al., IMC 2022, as its authors sum it up in "Fact checking
        # Starlink's performance figures", blog.apnic.net, 28 November 2022). 130 Mbit/s: 129.61, median in the United
        # States, third quarter of 2025 (Ookla, by Via Satellite, 6 February 2026; 16 to 27 in South Sudan, Madagascar
        # and Liberia). Loss is frequent and comes in bursts at hand-overs ("A browser-side view of Starlink
        # connectivity", IMC 2022); 1 % on average is an assumption.
        "starlink": Link("starlink", latency_s=0.045, bandwidth_bit_s=130e6, loss=0.01),
        # 630 ms: median of Viasat in the United States, 724 to 744 ms of HughesNet; 19 Mbit/s: medians of 18.1 to 19.7
        # for both (second and third quarter of 2021, Ookla, as above). Of that 558 ms are the way to a geostationary
        # satellite and back, twice, from the edge of its view (RFC 2488, section 2). No loss is an assumption: links to
        # geostationary satellites correct errors and their proxies acknowledge (RFC 3135). Business plans differ.
        "vsat": Link("vsat", latency_s=0.630, bandwidth_bit_s=19e6, loss=0.0),
    }
)
"""The links that have a name.

What the figures rest on stands beside each; they are medians of home lines in one country and some years old. Measure
your own, and pass ``Link(...)`` or a mapping.
"""


def link(choice: str | Link | Mapping[str, object]) -> Link:
    """Return a link by name, or make one.

    Parameters
    ----------
    choice : str, Link or mapping
        ``"fibre"``, ``"starlink"`` or ``"vsat"``; a `Link`, which is handed back; or a mapping with the names of a
        `Link`'s parameters. ``latency`` and ``bandwidth`` may be given with a unit instead (``"600 ms"``,
        ``"20 Mbit/s"``), ``loss`` as ``"1 %"``. A mapping without a name is called ``"custom"``.

    Returns
    -------
    Link

    Raises
    ------
    ParameterError
        The name is unknown, a figure is missing, out of its range, or has no unit that is known.

    Examples
    --------
    >>> link({"latency": "600 ms", "bandwidth": "20 Mbit/s", "loss": "0.1 %"})
    Link(name='custom', latency_s=0.6, bandwidth_bit_s=20000000.0, loss=0.001, connections=32, handshakes=2.0)
    """
    if isinstance(choice, Link):
        return choice
    if isinstance(choice, str):
        if choice not in LINKS:
            raise ParameterError(
                f"link = {choice!r} is unknown; known are {', '.join(map(repr, LINKS))}; or pass "
                'latency and bandwidth: {"latency": "600 ms", "bandwidth": "20 Mbit/s"}'
            )
        return LINKS[choice]
    if not isinstance(choice, Mapping):
        raise ParameterError(f"link = {choice!r}: a name, a Link or a mapping is needed")
    given: dict[str, object] = {"name": "custom", **choice}
    for short, full, units in (("latency", "latency_s", _TIMES), ("bandwidth", "bandwidth_bit_s", _RATES)):
        if short in given:
            if full in given:
                raise ParameterError(f"link: {short} and {full} are one figure; give one of them")
            given[full] = _with_unit(f"link: {short}", given.pop(short), units)
    if isinstance(given.get("loss"), str):
        given["loss"] = _with_unit("link: loss", given["loss"], {"%": 0.01})
    known = {item.name for item in fields(Link)}
    unknown = sorted(str(key) for key in given if key not in known)
    if unknown:
        raise ParameterError(
            f"link: {', '.join(unknown)} unknown; known are latency, bandwidth, " + ", ".join(sorted(known))
        )
    lacking = [key for key in ("latency_s", "bandwidth_bit_s") if key not in given]
    if lacking:
        raise ParameterError(f"link: {', '.join(lacking)} is missing")
    return Link(**given)  # type: ignore[arg-type]


def parse_bytes(amount: int | float | str) -> int:
    """Return a number of bytes from a number, or from text with a unit.

    Parameters
    ----------
    amount : int, float or str
        A number is bytes. Units are B, kB, MB, GB, TB (powers of 1000) and KiB, MiB, GiB, TiB (powers of 1024); the
        capital B stands for bytes, and k, M, G and T may be of either case.

    Returns
    -------
    int
        Bytes, rounded down.

    Raises
    ------
    BudgetError
        It is no amount above 0, or has no unit that is known.

    Examples
    --------
    >>> parse_bytes("20 MB"), parse_bytes("1.5KiB"), parse_bytes(500)
    (20000000, 1536, 500)
    """
    units = ", ".join(_SIZES)
    if isinstance(amount, str):
        found = _QUANTITY.fullmatch(amount)
        unit = {key.lower()[:-1] + "B": size for key, size in _SIZES.items()}.get(
            found[2][:-1].lower() + found[2][-1:] if found else ""
        )
        if found is None or unit is None:
            raise BudgetError(
                f"{amount!r:.60} is no amount of bytes: a number and one of the units {units} is needed ('20 MB')"
            )
        try:
            value = int(Decimal(found[1]) * unit)
        except (InvalidOperation, ValueError):
            raise BudgetError(f"{amount!r:.60} is no amount of bytes") from None
    elif isinstance(amount, bool) or not isinstance(amount, (int, float)) or not math.isfinite(amount):
        raise BudgetError(f"{amount!r:.60} is no amount of bytes: a number, or text with one of the units {units}")
    else:
        value = int(amount)
    if value <= 0:
        raise BudgetError(f"{amount!r:.60} is no amount of bytes above 0")
    return value


def _with_unit(what: str, value: object, units: Mapping[str, float]) -> float:
    found = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    if found is None or found[2] not in units:
        raise ParameterError(f"{what} = {value!r:.60}: text with a unit is needed, of {', '.join(units)}")
    return float(found[1]) * units[found[2]]
