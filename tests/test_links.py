"""Links: what a read costs, by figures that mean something."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, strategies as st

from econsat.access.links import LINKS, Link, link, parse_bytes
from econsat.errors import BudgetError, ParameterError


class TestLink:
    def test_names(self) -> None:
        assert set(LINKS) == {"fibre", "starlink", "vsat"}
        assert all(link(name).name == name for name in LINKS)
        assert link(LINKS["vsat"]) is LINKS["vsat"]
        with pytest.raises(TypeError):
            LINKS["dsl"] = LINKS["vsat"]  # type: ignore[index]

    def test_unknown_name(self) -> None:
        with pytest.raises(ParameterError, match="'fibre', 'starlink', 'vsat'"):
            link("dialup")

    def test_geostationary_round_trip_is_physical(self) -> None:
        # Up and down, there and back, straight below the satellite: 4 x 35,786 km at 299,792 km/s.
        assert LINKS["vsat"].latency_s > 4 * 35_786 / 299_792.458

    def test_mapping(self) -> None:
        assert link({"latency_s": 0.6, "bandwidth_bit_s": 2e7}) == Link("custom", 0.6, 2e7)
        assert link({"latency": "45ms", "bandwidth": "1.5 Gbit/s", "loss": "1%", "name": "x"}) == Link(
            "x", 0.045, 1.5e9, 0.01
        )
        assert link({"latency": "2 s", "bandwidth": "64 kbit/s", "connections": 4}).connections == 4

    @pytest.mark.parametrize(
        ("given", "seen"),
        [
            ({"latency_s": 0.1}, "bandwidth_bit_s is missing"),
            ({}, "latency_s, bandwidth_bit_s is missing"),
            ({"latency": 600, "bandwidth_bit_s": 1e6}, "latency = 600: text with a unit is needed, of ms, s"),
            ({"latency": "600", "bandwidth_bit_s": 1e6}, "text with a unit is needed"),
            ({"latency": "6 h", "bandwidth_bit_s": 1e6}, "of ms, s"),
            ({"latency_s": 1, "bandwidth": "20 Mbps"}, "bit/s, kbit/s, Mbit/s, Gbit/s"),
            ({"latency_s": 1, "bandwidth": "20 MB/s"}, "bit/s, kbit/s, Mbit/s, Gbit/s"),
            ({"latency_s": 1, "latency": "1 s", "bandwidth_bit_s": 1e6}, "are one figure"),
            ({"latency_s": 1, "bandwidth_bit_s": 1e6, "jitter": 3}, "jitter unknown"),
            ({"latency_s": 1, "bandwidth_bit_s": 1e6, "loss": "1"}, "of %"),
        ],
    )
    def test_no_mapping(self, given: dict[str, object], seen: str) -> None:
        with pytest.raises(ParameterError, match=seen):
            link(given)

    @pytest.mark.parametrize("choice", [None, 3, ["fibre"]])
    def test_no_choice(self, choice: Any) -> None:
        with pytest.raises(ParameterError, match="a name, a Link or a mapping"):
            link(choice)

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("latency_s", -0.1),
            ("latency_s", math.nan),
            ("latency_s", 600),
            ("latency_s", "1"),
            ("latency_s", True),
            ("bandwidth_bit_s", 0),
            ("bandwidth_bit_s", -1e6),
            ("bandwidth_bit_s", math.inf),
            ("bandwidth_bit_s", math.nan),
            ("bandwidth_bit_s", 20),
            ("loss", -0.1),
            ("loss", 1),
            ("loss", 1.5),
            ("loss", math.nan),
            ("connections", 0),
            ("connections", 1.5),
            ("connections", True),
            ("handshakes", -1),
            ("handshakes", None),
            ("name", ""),
        ],
    )
    def test_nonsense(self, key: str, value: Any) -> None:
        figures: dict[str, Any] = {"name": "a", "latency_s": 0.1, "bandwidth_bit_s": 1e6, key: value}
        with pytest.raises(ParameterError, match=f"{key} = "):
            Link(**figures)


class TestSeconds:
    def test_by_hand(self) -> None:
        slow = Link("a", 0.1, 8e6, connections=4, handshakes=2)
        # One wave of 4, one of 2 more; 2 handshakes; 1 MB/s.
        assert slow.seconds(6, 3_000_000) == pytest.approx(0.1 * (2 + 2) + 3)
        assert slow.seconds(6, 3_000_000, rounds=5) == pytest.approx(0.1 * (2 + 5) + 3)
        assert slow.seconds(6, 3_000_000, hosts=5) == pytest.approx(0.1 * (4 + 2) + 3)
        assert slow.seconds(0, 0) == 0

    def test_loss_bounds_each_connection(self) -> None:
        lossy = Link("a", 0.1, 1e9, loss=0.01, connections=10)
        each = 1460 * 8 / 0.1 * math.sqrt(1.5) / 0.1
        assert lossy.rate_bit_s == pytest.approx(10 * each)
        assert lossy.seconds(1, 10**6) == pytest.approx(0.3 + 8e6 / each)
        assert Link("a", 0.1, 1e5, loss=0.01).rate_bit_s == 1e5

    @pytest.mark.parametrize("bad", [{"requests": -1}, {"bytes": math.nan}, {"hosts": -1}, {"rounds": "2"}])
    def test_nonsense(self, bad: dict[str, Any]) -> None:
        figures: dict[str, Any] = {"requests": 1, "bytes": 1, **bad}
        with pytest.raises(ParameterError, match=f"{next(iter(bad))} = "):
            LINKS["fibre"].seconds(figures.pop("requests"), figures.pop("bytes"), **figures)

    def test_bytes_without_requests(self) -> None:
        with pytest.raises(ParameterError, match="requests = 0"):
            LINKS["fibre"].seconds(0, 5)

    @given(
        st.integers(1, 10_000), st.integers(0, 10**9), st.floats(0, 2), st.floats(1e4, 1e9), st.floats(0, 0.5),
        st.integers(1, 64),
    )  # fmt: skip
    def test_more_never_costs_less(
        self, requests: int, size: int, latency: float, bandwidth: float, loss: float, connections: int
    ) -> None:
        one = Link("a", latency, bandwidth, loss, connections)
        cost = one.seconds(requests, size)
        assert cost >= 8 * size / bandwidth
        assert one.seconds(requests, size + 1000) >= cost
        assert one.seconds(requests + connections, size) >= cost or requests < connections
        assert Link("a", latency, bandwidth, min(0.9, loss * 2), connections).seconds(requests, size) >= cost
        assert Link("a", latency, bandwidth, loss, connections * 2).seconds(requests, size) <= cost * (1 + 1e-9)

    def test_order(self) -> None:
        costs = [LINKS[name].seconds(300, 50_000_000) for name in ("fibre", "starlink", "vsat")]
        assert costs == sorted(costs)


class TestGap:
    @pytest.mark.parametrize("name", list(LINKS))
    def test_costs_as_much_as_a_request(self, name: str) -> None:
        one = LINKS[name]
        many = 100 * one.connections
        apart = one.seconds(many, 10**9)
        joined = one.seconds(many // 2, 10**9 + one.gap * (many // 2))
        assert joined == pytest.approx(apart, rel=1e-4)
        assert 1_000 < one.gap < 1 << 20


class TestParseBytes:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("20 MB", 20_000_000),
            ("20MB", 20_000_000),
            (" 1.5 kB ", 1500),
            ("1.5KB", 1500),
            ("3 GiB", 3 << 30),
            ("3 gib".replace("b", "B"), 3 << 30),
            ("7 B", 7),
            (".5 MiB", 1 << 19),
            ("0.1 GB", 100_000_000),
            ("1 TB", 10**12),
            (12, 12),
            (12.9, 12),
        ],
    )
    def test_amounts(self, text: Any, value: int) -> None:
        assert parse_bytes(text) == value

    @pytest.mark.parametrize(
        "text", ["20", "20 Mb", "20 Mbit", "MB", "20 XB", "-3 MB", "1e3 MB", "1,5 MB", "", "20 M B", "٣ MB", "20 %"]
    )
    def test_unknown_unit_names_the_units(self, text: str) -> None:
        with pytest.raises(BudgetError, match="B, kB, MB, GB, TB, KiB, MiB, GiB, TiB"):
            parse_bytes(text)

    @pytest.mark.parametrize("amount", [0, -5, "0 MB", "0.1 B", math.nan, math.inf, True, None, [1]])
    def test_no_amount(self, amount: Any) -> None:
        with pytest.raises(BudgetError, match="no amount of bytes"):
            parse_bytes(amount)
