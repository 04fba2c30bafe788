"""What may be asked, opened and parsed: rules, odd spellings, redaction, limits."""

from __future__ import annotations

import ipaddress
import json
import pickle
import re
import socket
import string
import sys
import time
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import example, given, settings, strategies as st
from urllib3.util import parse_url

from econsat.access import Access, Policy
from econsat.access._addresses import kind_of, kind_of_name, literal, looks_numeric
from econsat.access.parse import parse_json, parse_xml
from econsat.access.policy import DRIVERS
from econsat.access.redact import brief, is_url, shown, unsigned
from econsat.errors import CatalogError, ParameterError, RefusedError
from econsat.reports.secrets import redact

PUBLIC = "https://stac.example.org/search"
LOCAL = "/data/catalog.json"


def _refused(href: Any, *, found_in: str | None = PUBLIC, policy: Policy | None = None) -> str:
    with pytest.raises(RefusedError) as caught:
        (policy or Policy()).check(href, found_in=found_in, what="item 'a', asset 'b04'")
    assert caught.value.kind == "refused"
    text = str(caught.value)
    assert text.startswith("item 'a', asset 'b04': ")
    assert len(text) < 1_500
    assert text.isprintable()
    return text


class TestSpellings:
    @pytest.mark.parametrize(
        ("href", "plain"),
        [
            ("https://example.org", "https://example.org/"),
            ("HTTPS://EXAMPLE.ORG/A", "https://example.org/A"),
            ("https://example.org./a", "https://example.org/a"),
            ("https://example.org:443/a", "https://example.org/a"),
            ("https://example.org:/a", "https://example.org/a"),
            ("https://example.org:08443/a", "https://example.org:8443/a"),
            ("https://example.org?x=1", "https://example.org/?x=1"),
            ("https://example.org/a#b", "https://example.org/a"),
            ("https://example.org/a b/é.tif", "https://example.org/a%20b/%C3%A9.tif"),
            ("https://example.org/a%20b%2Fc", "https://example.org/a%20b%2Fc"),
            ("https://example.org/100%.tif", "https://example.org/100%25.tif"),
            ("https://example.org/a?x=a b&y=%zz", "https://example.org/a?x=a%20b&y=%25zz"),
            ("https://example.org/a/./b/../c", "https://example.org/a/c"),
            ("https://example.org/../../etc/passwd", "https://example.org/etc/passwd"),
            ("https://example.org/a/%2e%2E/b", "https://example.org/b"),
            ("https://example.org/a/..", "https://example.org/"),
            ("https://bücher.example/", "https://xn--bcher-kva.example/"),
            ("https://ｅxample。org/", "https://example.org/"),
            ("https://my_bucket.s3.example.org/k", "https://my_bucket.s3.example.org/k"),
            ("https://[2606:4700:0:0:0:0:0:1111]/", "https://[2606:4700::1111]/"),
            ("https://8.8.8.8/", "https://8.8.8.8/"),
            ("https://[::ffff:8.8.8.8]/", "https://8.8.8.8/"),
            ("https://example.org/[a]|`b`", "https://example.org/%5Ba%5D%7C%60b%60"),
        ],
    )
    def test_are_made_plain(self, href: str, plain: str) -> None:
        assert Policy().check(href, found_in=PUBLIC) == plain

    @pytest.mark.parametrize(
        ("href", "rule"),
        [
            ("http:/x", "not followed by //"),
            ("https:x", "not followed by //"),
            ("https:///x", "no host"),
            ("https://", "no host"),
            ("https://?x", "no host"),
            ("//host/x", "a path"),
            ("/etc/passwd", "a path"),
            ("../../etc/passwd", "a path"),
            ("a.tif", "a path"),
            ("", "a path"),
            (" https://example.org/", "a path"),
            ("\\\\host\\share\\a.tif", "backslash"),
            ("https:\\\\example.org\\a", "backslash"),
            ("https://example.org\\@10.0.0.5/", "backslash"),
            ("https://example.org/\r\nHost: evil", "control"),
            ("https://exa\tmple.org/", "control"),
            ("https://example.org/\x00", "control"),
            ("https://example.org/\x7f", "control"),
            ("java\nscript:alert(1)", "control"),
            ("https://exa mple.org/", "not a name"),
            ("https://user:word@example.org/", "user name or password"),
            ("https://user@example.org/", "user name or password"),
            ("https://example.org@10.0.0.5/", "user name or password"),
            ("https://ex%61mple.org/", "escapes"),
            ("https://127.0.0.1%2f.example.org/", "escapes"),
            ("https://example.org%00/", "escapes"),
            ("https://example.org:0/", "port"),
            ("https://example.org:65536/", "port"),
            ("https://example.org:80a/", "port"),
            ("https://example.org:-1/", "port"),
            ("https://example.org:٨٠/", "port"),
            ("https://example.org:80:80/", "port"),
            ("https://a..b/", "not a name"),
            ("https://.example.org/", "not a name"),
            ("https://example.org../", "not a name"),
            ("https://ex!ample.org/", "not a name"),
            ("https://℀.example/", "not a name"),
            ("https://straße.example/", "xn--"),
            ("https://" + "a" * 64 + ".org/", "not a name"),
            ("https://" + "a." * 200 + "org/", "253"),
            ("https://" + "١" * 3_000 + "/", "253"),
            ("https://example.org/" + "a" * 20_000, "16,384"),
            ("https://example.org/\ud800", "surrogate"),
            ("https://[::1/", "no IPv6"),
            ("https://[1.2.3.4]/", "no IPv6"),
            ("https://[fe80::1%25eth0]/", "no IPv6"),
            ("https://[fe80::1%eth0]/", "no IPv6"),
            ("https://[v1.x]/", "no IPv6"),
            ("https://[::1]x/", "no IPv6"),
            ("ftp://host/x", "ftp://"),
            ("gopher://host/x", "gopher://"),
            ("file:///etc/passwd", "file://"),
            ("FILE:///etc/passwd", "file://"),
            ("dict://host:11211/", "dict://"),
            ("zip+https://host/a.zip!a.tif", "zip+https://"),
            ("s3://bucket/a.tif", "signer"),
            ("S3://bucket/a.tif", "signer"),
            ("gs://bucket/a.tif", "signer"),
            ("abfss://container@account/a.tif", "signer"),
            ("data:image/tiff;base64,AAAA", "prefixes"),
            ("javascript:alert(1)", "prefixes"),
            ("/vsicurl/https://example.org/a.tif", "virtual"),
            ("/VSICURL/https://example.org/a.tif", "virtual"),
            ("/vsicurl?url=https%3A%2F%2Fexample.org", "virtual"),
            ("/vsizip//etc/a.zip/a.tif", "virtual"),
            ("vsis3:/bucket/a.tif", "prefixes"),
            ('STACIT:"https://example.org"', "prefixes"),
            ("MEM:::DATAPOINTER=1", "prefixes"),
            ("PDF:1:/etc/a.pdf", "prefixes"),
            ("HDF5:/etc/a.h5://x", "prefixes"),
            ("NETCDF:/etc/a.nc:x", "prefixes"),
            ("GTIFF_DIR:1:/etc/a.tif", "prefixes"),
            ("GTIFF_RAW:/etc/a.tif", "prefixes"),
            ("C:/Windows/a.tif", "prefixes"),
            ("<VRTDataset/>", "a path"),
            (None, "NoneType"),
            (5, "int"),
            ({"href": "x"}, "dict"),
        ],
    )
    def test_are_refused(self, href: Any, rule: str) -> None:
        for found_in in (None, LOCAL, PUBLIC):
            assert rule in _refused(href, found_in=found_in)

    def test_ten_million_characters_cost_nothing(self) -> None:
        text = _refused("https://example.org/?" + "tokentoken" * 1_000_000)
        assert "10,000,021 characters" in text


LOOPBACK = ["127.0.0.1", "127.9.9.9", "[::1]", "localhost", "LOCALHOST.", "a.localhost", "localhost.localdomain"]
LOOPBACK += [
    "ip6-localhost",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "１２７.0.0.1",
    "127。0。0。1",
    "[0:0:0:0:0:0:0:1]",
]
PRIVATE = ["10.0.0.5", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "198.18.0.1", "[fd12::1]", "nas"]
PRIVATE += ["printer.local", "stac.internal", "router.home.arpa", "[::ffff:10.0.0.5]", "a.lan"]
NEVER = ["169.254.169.254", "169.254.170.2", "100.100.100.200", "[fd00:ec2::254]", "168.63.129.16", "[fe80::1]"]
NEVER += ["metadata.google.internal", "metadata.google.internal.", "METADATA", "0.0.0.0", "[::]", "255.255.255.255"]
NEVER += ["224.0.0.1", "240.0.0.1", "192.0.2.1", "[ff02::1]", "[2001:db8::1]", "[fec0::1]", "[4000::1]", "[100::1]"]
# Addresses in other addresses: NAT64, 6to4, Teredo (server, and client turned over), compatible, translated, ISATAP.
NEVER += ["[64:ff9b::7f00:1]", "[64:ff9b::a9fe:a9fe]", "[2002:7f00:1::]", "[2002:a00:5::1]", "[2002:a9fe:a9fe::]"]
NEVER += ["[2001:0:7f00:1::]", "[2001:0:808:808:0:0:f5ff:fffa]", "[::127.0.0.1]", "[::ffff:0:127.0.0.1]"]
NEVER += ["[2606:4700::5efe:10.0.0.5]", "[64:ff9b:1::1]"]
ODD = ["0x7f.1", "0x7f000001", "0X7F.0.0.1", "2130706433", "017700000001", "0177.0.0.1", "127.1", "127.0.1", "0", "0x0"]
ODD += ["127.0.0.01", "1.2.3.4.5", "256.1.1.1", "127.0.0.1.0x", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "1"]
ODD += ["example.0x1"]


class TestWhereItWasFound:
    @pytest.mark.parametrize("host", LOOPBACK)
    def test_this_machine(self, host: str) -> None:
        policy = Policy()
        for found_in in (None, LOCAL, "local", "file:///data/c.json", "http://127.0.0.1:8000/c.json", "http://[::1]/"):
            assert policy.check(f"http://{host}:8000/a.tif", found_in=found_in).endswith(":8000/a.tif")
        for found_in in (PUBLIC, "http://10.0.0.5/c.json", "http://nas/c.json", "https://[", "s3://bucket/c.json"):
            text = _refused(f"http://{host}/a.tif", found_in=found_in)
            assert "this machine" in text
            assert "access=Access(policy=Policy(private=['" in text

    @pytest.mark.parametrize("host", PRIVATE)
    def test_private_networks(self, host: str) -> None:
        policy = Policy()
        assert policy.check(f"http://{host}/a.tif").endswith("/a.tif")
        assert policy.check(f"http://{host}/a.tif", found_in=f"https://{host}:8080/c.json").endswith("/a.tif")
        for found_in in (PUBLIC, LOCAL, "http://127.0.0.1/c.json", "http://10.99.0.1/", "http://other-nas/"):
            text = _refused(f"https://{host}/a.tif", found_in=found_in)
            assert "in a private network" in text
            assert "Policy(private=['" in text

    @pytest.mark.parametrize("host", NEVER)
    def test_never(self, host: str) -> None:
        for policy in (Policy(), Policy(private=["0.0.0.0/0", "::/0"], http=["*.internal", "*.internal"])):
            for found_in in (None, LOCAL, PUBLIC, f"http://{host}/"):
                assert "nothing permits it" in _refused(f"http://{host}/", found_in=found_in, policy=policy)

    @pytest.mark.parametrize("host", ODD)
    def test_odd_spellings_of_numbers(self, host: str) -> None:
        for found_in in (None, LOCAL, PUBLIC):
            assert "odd spelling" in _refused(f"http://{host}/", found_in=found_in)

    def test_public_addresses_need_https_everywhere(self) -> None:
        for found_in in (None, LOCAL, PUBLIC):
            assert Policy().check("https://data.example.org/a", found_in=found_in) == "https://data.example.org/a"
            text = _refused("http://data.example.org/a", found_in=found_in)
            assert "pass access=Access(policy=Policy(http=['data.example.org'])) to permit it" in text

    def test_what_is_advised_works(self) -> None:
        assert Policy(http=["data.example.org"]).check("http://data.example.org/a", found_in=PUBLIC)
        assert Policy(private=["10.0.0.5"]).check("http://10.0.0.5/a", found_in=PUBLIC)
        assert Policy(private=["nas"]).check("http://nas/a", found_in=PUBLIC)
        assert Policy(private=["localhost"]).check("http://localhost:1/a", found_in=PUBLIC)
        assert Policy(hosts=["*.example.org", "data.example.com"]).check("https://data.example.com/", found_in=PUBLIC)

    def test_private_networks_by_range(self) -> None:
        policy = Policy(private=["10.20.0.0/16", "fd12::/32"])
        assert policy.check("http://10.20.3.4/a", found_in=PUBLIC)
        assert policy.check("http://[fd12::4]/a", found_in=PUBLIC)
        _refused("http://10.21.3.4/a", policy=policy)

    def test_only_some_hosts(self) -> None:
        policy = Policy(hosts=["*.example.org", "example.com"])
        assert policy.check("https://a.b.example.org/")
        for host in ("example.org", "badexample.org", "example.org.evil.net", "a.example.com", "8.8.8.8"):
            assert "none of the hosts allowed" in _refused(f"https://{host}/", found_in=None, policy=policy)


class TestPeers:
    @pytest.mark.parametrize("address", ["10.0.0.5", "127.0.0.1", "::1", "fd12::1", "::ffff:10.0.0.5", "100.64.3.2"])
    def test_a_public_name_may_not_lead_home(self, address: str) -> None:
        policy = Policy()
        for found_in in (PUBLIC, "https://rebound.example.org/c.json"):
            with pytest.raises(RefusedError, match=r"item 'a': host rebound\.example\.org .*resolves to .*private=\["):
                policy.check_peer("rebound.example.org", address, found_in=found_in, what="item 'a'")
        policy.check_peer("rebound.example.org", address)
        Policy(private=["rebound.example.org"]).check_peer("rebound.example.org", address, found_in=PUBLIC)

    @pytest.mark.parametrize(
        "address", ["169.254.169.254", "fe80::1%eth0", "0.0.0.0", "::", "fd00:ec2::254", "224.0.0.1"]
    )
    def test_no_name_may_lead_there(self, address: str) -> None:
        for found_in in (None, LOCAL, PUBLIC):
            with pytest.raises(RefusedError, match="nothing permits it"):
                Policy(private=["a.example.org"]).check_peer("a.example.org", address, found_in=found_in)

    def test_the_rest(self) -> None:
        policy = Policy()
        policy.check_peer("a.example.org", "8.8.8.8", found_in=PUBLIC)
        policy.check_peer("a.example.org", "64:ff9b::808:808", found_in=PUBLIC)
        policy.check_peer("localhost", "127.0.0.1", found_in="http://localhost:1/")
        policy.check_peer("nas", "192.168.1.9", found_in="http://nas/c.json")
        policy.check_peer("10.0.0.5", "10.0.0.5", found_in="http://10.0.0.5/c.json")
        policy.check_peer("a.example.org", "127.0.0.1", found_in=LOCAL)
        for host, address in (("localhost", "8.8.8.8"), ("a.localhost", "10.0.0.5"), ("a.example.org", "no address")):
            with pytest.raises(RefusedError):
                policy.check_peer(host, address)
        with pytest.raises(RefusedError):
            policy.check_peer("a.example.org", "10.0.0.5", found_in=LOCAL)


class TestFields:
    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("http", "example.org"),
            ("http", [5]),
            ("http", ["https://example.org"]),
            ("http", ["example.org:80"]),
            ("http", ["example.org/a"]),
            ("http", ["*"]),
            ("http", ["a*.example.org"]),
            ("http", ["0x7f.1"]),
            ("http", [""]),
            ("http", None),
            ("hosts", []),
            ("hosts", 5),
            ("private", ["10.0.0.0/99"]),
            ("private", ["169.254.0.0/16"]),
            ("private", ["169.254.169.254"]),
            ("private", ["metadata.google.internal"]),
            ("private", "10.0.0.1"),
            ("drivers", ["VRT"]),
            ("drivers", []),
            ("drivers", "GTiff"),
            ("drivers", None),
            ("drivers", {"a": ["VRT"]}),
            ("drivers", {"a": "GTiff"}),
            ("drivers", {5: ["GTiff"]}),
            ("max_redirects", -1),
            ("max_redirects", True),
            ("max_json_depth", 501),
            ("max_xml_depth", 10_000),
            *[(name, bad) for name in ("max_json_bytes", "max_pages", "max_pixels") for bad in (0, -1, 1.5, "5", None)],
            *[(name, True) for name in ("max_file_bytes", "max_block_bytes", "max_ratio", "max_xml_bytes")],
        ],
    )
    def test_nonsense(self, field: str, value: Any) -> None:
        with pytest.raises(ParameterError, match=field):
            Policy(**{field: value})

    def test_are_normalised(self) -> None:
        policy = Policy(http=["Data.Example.ORG."], hosts={"*.bücher.example"}, private=["10.1.2.3/8", "[::1]", "NAS"])
        assert policy.http == ("data.example.org",)
        assert policy.hosts == ("*.xn--bcher-kva.example",)
        assert policy.private == ("10.0.0.0/8", "::1/128", "nas")

    def test_travel_to_workers_and_serve_as_keys(self) -> None:
        policy = Policy(private=["nas"], drivers={"s5p": ["netCDF"]})
        assert pickle.loads(pickle.dumps(policy)) == policy
        assert hash(pickle.loads(pickle.dumps(policy))) == hash(policy)
        assert Access(policy=policy).policy is policy

    def test_drivers(self) -> None:
        assert Policy().drivers_for("any") == Policy().drivers_for(None) == ("GTiff",)
        assert Policy(drivers=["HDF5"]).drivers_for("any") == ("HDF5",)
        chosen = Policy(drivers={"s5p": ["netCDF", "HDF5"], "*": ["GTiff", "JP2OpenJPEG"]})
        assert chosen.drivers_for("s5p") == ("netCDF", "HDF5")
        assert chosen.drivers_for("s2") == chosen.drivers_for(None) == ("GTiff", "JP2OpenJPEG")
        assert "VRT" not in DRIVERS


_HOSTS = st.one_of(
    st.sampled_from([h.strip("[]") for h in LOOPBACK + PRIVATE + NEVER + ODD]),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str),
    st.integers(0, 2**32).map(str),
    st.integers(0, 2**32).map(hex),
    st.lists(st.one_of(st.integers(0, 300).map(str), st.integers(0, 255).map(hex), st.integers(0, 255).map(oct)),
             min_size=1, max_size=5).map(".".join),
    st.text(string.ascii_letters + string.digits + ".-_%@:[]\\/\t １２７。．ａ\u0660\u200d", min_size=1, max_size=20),
    st.sampled_from(["example.org", "a.b.example.org", "data.example.com"]),
)  # fmt: skip
_HREFS = st.builds(
    "{}{}{}{}{}{}{}".format,
    st.sampled_from(["https", "HTTPS", "http", "s3", "file", "", "ht\ntps"]),
    st.sampled_from(["://", "://", "://", "://", ":/", ":", ":///", "://[", "//", ":\\\\"]),
    st.sampled_from(["", "", "", "u:p@", "u@", "[", "%20"]),
    _HOSTS,
    st.sampled_from(["", "", "", "]", ":80", ":443", ":0", ":x", "]:1", ".", "。"]),
    st.sampled_from(["", "/", "/a/../b", "/%2e%2e/%2F", "\\x", "/a b", "/é%", "/\x00", "/a;b=1"]),
    st.one_of(st.sampled_from(["", "?", "?sig=1&x=%zz", "#a@b", "?a=http://10.0.0.1/"]), st.text(max_size=10)),
)


# Most of what is thrown together is refused: these come through more often.
_LIKELY = st.builds(
    "{}://{}{}{}{}".format,
    st.sampled_from(["https", "HTTPS", "http"]),
    st.one_of(
        _HOSTS,
        st.ip_addresses(v=6).map("[{}]".format),
        st.ip_addresses(v=4).map("[::ffff:{}]".format),
        st.sampled_from(["example.org", "EXAMPLE.org.", "bücher.example.org", "ａ。example.org", "my_a.example.org"]),
    ),
    st.sampled_from(["", ":80", ":443", ":8080", ":"]),
    st.lists(st.sampled_from(["/", "a", ".", "..", "%2e", "%2E%2e", " ", "é", "%", "%41", "[", "'", '"', ";"])).map(
        lambda parts: "/" + "".join(parts)
    ),
    st.one_of(st.just(""), st.text(max_size=12).map("?{}".format), st.sampled_from(["?#", "#?", "?a=%zz&b= ", "?[]"])),
)


def _accepted(href: str, found_in: str | None, policy: Policy) -> str | None:
    try:
        return policy.check(href, found_in=found_in)
    except RefusedError as error:
        if not str(error).isprintable():
            raise
        return None


class TestProperties:
    @settings(max_examples=600)
    @given(
        href=st.one_of(_LIKELY, _LIKELY, _HREFS, st.text(max_size=40)),
        found_in=st.sampled_from([None, LOCAL, PUBLIC, "http://nas/"]),
    )
    @example(href="https://[::ffff:0:127.0.0.1]/", found_in=PUBLIC)
    @example(href="https://example.org/a?#b", found_in=PUBLIC)
    def test_checked_twice_is_checked_once(self, href: str, found_in: str | None) -> None:
        policy = Policy(http=["example.org"])
        once = _accepted(href, found_in, policy)
        if once is None:
            return
        assert policy.check(once, found_in=found_in) == once
        assert once.isascii()
        assert "@" not in urlsplit(once).netloc
        # Everyone who reads it sees the same host.
        host = urlsplit(once).hostname
        assert (parse_url(once).host or "").strip("[]") == host
        assert urlsplit(once).scheme in ("http", "https")
        assert unsigned(unsigned(once)) == unsigned(once)

    @settings(max_examples=600)
    @given(href=st.one_of(_LIKELY, _LIKELY, _HREFS))
    def test_what_a_public_document_names_is_public_to_all_parsers(self, href: str) -> None:
        once = _accepted(href, PUBLIC, Policy(http=["*.example.org"]))
        if once is None:
            return
        host = urlsplit(once).hostname
        assert host is not None
        addresses = []
        for read in (ipaddress.ip_address, lambda text: ipaddress.ip_address(socket.inet_aton(text))):
            try:
                addresses.append(read(host))
            except (ValueError, OSError):
                continue
        if not addresses:
            assert "." in host
            assert host not in ("localhost", "metadata.google.internal")
        for address in addresses:
            inner = getattr(address, "sixtofour", None) or address
            assert inner.is_global
            assert not address.is_multicast
            assert not address.is_link_local
            assert not address.is_loopback

    @settings(max_examples=300)
    @given(address=st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
    @example(address=ipaddress.ip_address("2002:c0a8:101::"))
    def test_kinds_agree_with_the_standard_library(self, address: Any) -> None:
        kind = kind_of(address)
        if kind == "public":
            inner = getattr(address, "sixtofour", None) or address
            assert inner.is_global
        if address.is_loopback and address.version == 4:
            assert kind == "loopback"
        if address.is_link_local:
            assert kind == "link-local"
        if address.is_multicast:
            assert kind in ("multicast", "reserved")
        assert literal(str(address)) in (address, getattr(address, "ipv4_mapped", None))

    @given(name=st.text(string.ascii_lowercase + ".-0123456789x", min_size=1, max_size=20))
    def test_what_inet_aton_reads_looks_numeric(self, name: str) -> None:
        try:
            socket.inet_aton(name)
        except OSError:
            return
        assert looks_numeric(name)

    def test_names(self) -> None:
        assert kind_of_name("data.example.org") == "public"
        assert kind_of_name("locals.example.org") == "public"


SECRETS = ["sig", "token", "X-Amz-Signature", "x-amz-security-token", "X-Goog-Signature", "AWSAccessKeyId", "api_key"]
SECRETS += [
    "apikey",
    "access_token",
    "subscription-key",
    "password",
    "passwd",
    "client_secret",
    "Signature",
    "SIG",
    "key",
]
SECRETS += [
    "sas_token",
    "auth-token",
    "Policy",
    "Key-Pair-Id",
    "se",
    "skoid",
    "authorization",
    "my.secret.word",
    "%73ig",
]
PLANTED = "PL4NTEDs3cret"


class TestRedaction:
    @pytest.mark.parametrize("name", SECRETS)
    def test_every_name_of_a_secret_in_every_place(self, name: str) -> None:
        places = [
            f"https://h.example/a?{name}={PLANTED}",
            f"https://h.example/a?band=1&{name}={PLANTED}&x=2",
            f"https://h.example/a?band=1;{name}={PLANTED};x=2",
            f"https://h.example/a;{name}={PLANTED}/b" if "%" not in name else "https://h.example/a/b",
            f"https://h.example/a#{name}={PLANTED}",
            f"https://h.example/a?url={quote(f'https://i.example/b?{name}={PLANTED}', safe='')}",
            f"https://h.example/a?url={quote(quote(f'https://i.example/b?{name}={PLANTED}', safe=''), safe='')}",
            f"/vsicurl/https://h.example/a?{name}={PLANTED}",
            f"/vsicurl?{name}={PLANTED}&url=https%3A%2F%2Fh.example",
            f"https:/h.example/a?{name}={PLANTED}",
            f"s3://bucket/a?{name}={PLANTED}",
        ]
        for href in places:
            kept = unsigned(href)
            assert PLANTED not in kept
            assert unsigned(kept) == kept
            assert PLANTED not in shown(href)

    @pytest.mark.parametrize(
        "href",
        [
            f"https://u:{PLANTED}@h.example/a",
            f"https://{PLANTED}@h.example/a",
            f"//u:{PLANTED}@h.example/a",
            f"https:/u:{PLANTED}@h.example/a",
            f"https:u:{PLANTED}@h.example/a",
            f"https:\\\\u:{PLANTED}@h.example/a",
            f"https://u:{PLANTED}@v@h.example/a",
            f"/vsicurl/https://u:{PLANTED}@h.example/a",
            f"https://h.example/a?url=https%3A%2F%2Fu%3A{PLANTED}%40i.example%2Fb",
            f"https://[u:{PLANTED}@h.example/a",
        ],
    )
    def test_passwords(self, href: str) -> None:
        for text in (unsigned(href), shown(href), brief(ValueError(f"no answer from {href} today"))[:0] or ""):
            assert PLANTED not in text
        assert unsigned(unsigned(href)) == unsigned(href)

    def test_brief(self) -> None:
        text = brief(ValueError(f"no answer from https://u:{PLANTED}@h.example/a?sig={PLANTED}&x=1 after 3 tries"))
        assert PLANTED not in text
        assert "h.example/a" in text
        assert len(brief(ValueError("x" * 1_000))) == 300
        assert brief(ValueError("")) == "ValueError"

    @pytest.mark.parametrize(
        "href",
        [
            "https://h.example/a.tif?band=2&size=10",
            "https://h.example/a.tif?item=a&asset=b&next=%2F",
            "https://h.example/a;v=1/b",
            "https://h.example/a?url=https%3A%2F%2Fi.example%2Fb%3Fx%3D1",
            "https://h.example/series?start=2020&stop=2021",
            "/data/a?b#c.tif",
            "C:\\data\\me@home\\a.tif",
            "../a.tif",
            "s3://bucket/key=5/a.tif",
        ],
    )
    def test_what_is_no_secret_stays(self, href: str) -> None:
        assert unsigned(href) == href

    def test_reports_and_addresses_know_the_same_names(self) -> None:
        for name in SECRETS[:-1]:
            assert PLANTED not in redact(f"see https://h.example/a?x=1&{name}={PLANTED} there")

    @settings(max_examples=400)
    @given(
        name=st.sampled_from(SECRETS),
        before=st.text(max_size=15),
        after=st.text(max_size=15),
        scheme=st.sampled_from(["https://", "http://", "s3://", "/vsicurl/https://", "https:/", "//"]),
    )
    def test_planted_secrets_are_gone_and_twice_is_once(self, name: str, before: str, after: str, scheme: str) -> None:
        href = f"{scheme}h.example/{before}?a=1&{name}={PLANTED}&{after}"
        kept = unsigned(href)
        assert PLANTED not in kept or scheme == "//"
        assert unsigned(kept) == kept
        assert PLANTED not in shown(href)

    @settings(max_examples=400)
    @given(st.text(alphabet=":/?#@&;=%\\. sigtokenh3F2640", max_size=60))
    def test_any_text_at_all(self, href: str) -> None:
        kept = unsigned(href)
        assert unsigned(kept) == kept
        assert shown(href).isprintable()
        assert isinstance(is_url(href), bool)

    @pytest.mark.parametrize(
        "href",
        [
            "https://h/?" + "token" * 200_000 + "!",
            "https://h/" + ";token" * 200_000,
            "https:" + "\\" * 1_000_000,
            "://" * 300_000,
            "https://h/?a=" + "%2525" * 200_000,
            "https://h/?" + "&;" * 500_000,
            "https://" + "a@" * 500_000,
            "https://h/?u=" + quote("?u=" * 50_000, safe=""),
        ],
        ids=["name", "path", "slashes", "schemes", "escapes", "separators", "users", "nested"],
    )
    def test_a_million_characters_are_read_in_a_moment(self, href: str) -> None:
        started = time.process_time()
        kept = unsigned(href)
        shown(href)
        brief(ValueError(href))
        # What backtracks takes hours for these; the limit is far above what a slow machine needs.
        assert time.process_time() - started < 20
        assert unsigned(kept) == kept

    def test_addresses_nested_without_end(self) -> None:
        href = f"https://h.example/a?sig={PLANTED}"
        for _ in range(7):
            href = f"https://h.example/a?url={quote(href, safe='')}"
        assert PLANTED not in unsigned(href)

    def test_messages_hold_no_control_characters(self) -> None:
        assert shown("/a\n\x1b[31m\u202e.tif") == "/a\\n\\x1b[31m\\u202e.tif"
        assert len(shown("https://example.org/" + "a" * 10_000_000)) == 300


def _deep(depth: int) -> bytes:
    return b'{"a": ' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


class TestJson:
    def test_depth_is_exact(self) -> None:
        policy = Policy(max_json_depth=10)
        assert parse_json(_deep(10), "a.json", policy=policy)
        with pytest.raises(CatalogError, match=r"a\.json nests too deeply.*more than 10 levels.*max_json_depth="):
            parse_json(_deep(11), "a.json", policy=policy)

    @pytest.mark.parametrize(
        "content",
        [
            b"[" * 100_000,
            b"[" * 100_000 + b"]" * 100_000,
            b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
            b'{"a": "\\\\", "b": ' + b"[" * 100_000,
            b'{"a": "]]]]", "b": ' + b"[" * 200 + b"]" * 200 + b"}",
            b"{" + b'"a":{' * 70 + b"}" * 71,
        ],
    )
    def test_deep_nests_are_refused_before_python_climbs(self, content: bytes) -> None:
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(100_000_000)  # so that only our own limit stands between this and a crash
        try:
            with pytest.raises(CatalogError, match="nests too deeply"):
                parse_json(content, "a.json")
        finally:
            sys.setrecursionlimit(limit)

    @pytest.mark.parametrize("text", ["[" * 500, "{" * 500, '\\"[[[' * 100, "\\\\" * 50 + "[" * 100, "]" * 500])
    def test_brackets_in_strings_are_no_depth(self, text: str) -> None:
        assert parse_json(json.dumps({"a": text, "b\\": [text]}).encode(), "a.json")["a"] == text

    json_values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(alphabet='a"\\[]{}é\n', max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('a"\\[{', max_size=3), inner, max_size=3),
        max_leaves=12,
    )

    @settings(max_examples=300)
    @given(st.dictionaries(st.text(max_size=3), json_values, max_size=3), st.booleans())
    def test_depth_counts_as_a_walk_does(self, value: dict[str, Any], escape: bool) -> None:
        def depth(each: Any) -> int:
            inner = each.values() if isinstance(each, dict) else each if isinstance(each, list) else ()
            return (1 if isinstance(each, (dict, list)) else 0) + max(map(depth, inner), default=0)

        content = json.dumps(value, ensure_ascii=escape).encode()
        whole = depth(value)
        assert parse_json(content, "a.json", policy=Policy(max_json_depth=whole)) == value
        if whole > 1:
            with pytest.raises(CatalogError, match="nests too deeply"):
                parse_json(content, "a.json", policy=Policy(max_json_depth=whole - 1))

    def test_size(self) -> None:
        with pytest.raises(CatalogError, match=r"longer than 10 bytes.*has 11 bytes.*max_json_bytes"):
            parse_json(b'{"a": 1234}', "a.json", policy=Policy(max_json_bytes=10))

    @pytest.mark.parametrize("number", ["1" * 1_000_000, "1." + "1" * 500, "-" + "9" * 401, "1e" + "1" * 500])
    def test_long_numbers(self, number: str) -> None:
        limit = sys.get_int_max_str_digits()
        sys.set_int_max_str_digits(0)  # Python's own limit may be off
        try:
            with pytest.raises(CatalogError, match="digits, more than 400"):
                parse_json(f'{{"a": {number}}}'.encode(), "a.json")
        finally:
            sys.set_int_max_str_digits(limit)

    def test_long_strings_of_digits_are_fine(self) -> None:
        assert parse_json(b'{"a": "' + b"1" * 5_000 + b'", "b": 12}', "a.json")["b"] == 12

    def test_many_tiny_values(self) -> None:
        with pytest.raises(CatalogError, match="more than 10,000,000 values"):
            parse_json(b'{"a": [' + b"[]," * 5_500_000 + b"[]]}", "a.json")

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"", "not valid JSON"),
            (b"[1]", "a JSON list"),
            (b"1", "a JSON int"),
            (b"<!DOCTYPE html><html>", "HTML or XML page"),
            (b'{"a": 1', "not valid JSON"),
            (b'\x1f\x8b\x08\x00{"a": 1}', "not valid JSON"),
            ('{"a": 1}'.encode("utf-16"), "not valid JSON"),
        ],
    )
    def test_other_things(self, content: bytes, reason: str) -> None:
        with pytest.raises(CatalogError, match=reason):
            parse_json(content, "a.json")

    def test_halves_of_characters(self) -> None:
        with pytest.raises(CatalogError, match="half a character"):
            parse_json(b'{"a": {"b": ["\\uD83D"]}}', "a.json")
        assert parse_json(b'{"a": "\\ud83d\\ude00 \\\\ud83d"}', "a.json") == {"a": "\U0001f600 \\ud83d"}

    def test_keys_that_mean_something_elsewhere_are_keys(self) -> None:
        body = parse_json(b'{"__proto__": {"a": 1}, "__class__": 2, "a": 1, "a": 2}', "a.json")
        assert body == {"__proto__": {"a": 1}, "__class__": 2, "a": 2}
        assert type(body) is dict


BILLION = b"<!DOCTYPE l [" + b'<!ENTITY a0 "lol">'
BILLION += b"".join(b'<!ENTITY a%d "%s">' % (i, b"&a%d;" % (i - 1) * 10) for i in range(1, 10)) + b"]><l>&a9;</l>"


class TestXml:
    def test_plain(self) -> None:
        root = parse_xml("<?xml version='1.0' encoding='utf-8'?><a><b x='1'>é</b></a>".encode(), "a.xml")
        assert root[0].text == "é"
        assert root[0].attrib == {"x": "1"}

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (BILLION, "document type"),
            (b"<!DOCTYPE a SYSTEM 'http://127.0.0.1:9/x.dtd'><a/>", "document type"),
            (b"<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>", "document type"),
            (b"<!DOCTYPE a [<!ENTITY % x SYSTEM 'file:///etc/passwd'> %x;]><a/>", "document type"),
            ("<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>".encode("utf-16"), "document type"),
            (b"<a>&x;</a>", "not valid XML"),
            (b"<a>" * 10_000 + b"</a>" * 10_000, "nests too deeply"),
            (b"<a>" * 10_000, "nests too deeply"),
            (b"<a><b></a></b>", "not valid XML"),
            (b"", "not valid XML"),
            (b'{"a": 1}', "not valid XML"),
            (b"<?xml version='1.0' encoding='nonsense'?><a/>", "not valid XML"),
            (b"<a/><b/>", "not valid XML"),
        ],
    )
    def test_refused(self, content: bytes, reason: str) -> None:
        with pytest.raises(CatalogError, match=reason) as caught:
            parse_xml(content, "a.xml")
        assert "root:" not in str(caught.value)

    def test_depth_and_size_are_exact(self) -> None:
        policy = Policy(max_xml_depth=3, max_xml_bytes=40)
        assert parse_xml(b"<a><b><c/></b></a>", "a.xml", policy=policy).tag == "a"
        assert len(parse_xml(b"<a><b/><b/><b/><b/></a>", "a.xml", policy=policy)) == 4
        with pytest.raises(CatalogError, match=r"more than 3 levels.*max_xml_depth"):
            parse_xml(b"<a><b><c><d/></c></b></a>", "a.xml", policy=policy)
        with pytest.raises(CatalogError, match=r"longer than 40 bytes.*max_xml_bytes"):
            parse_xml(b"<a>" + b" " * 50 + b"</a>", "a.xml", policy=policy)

    def test_xinclude_and_processing_instructions_stay_text(self) -> None:
        content = (
            b'<?xml-stylesheet href="file:///etc/passwd"?><a xmlns:xi="http://www.w3.org/2001/XInclude">'
            b'<xi:include href="/etc/passwd" parse="text"/></a>'
        )
        root = parse_xml(content, "a.xml")
        assert re.search("root:", "".join(root.itertext())) is None
