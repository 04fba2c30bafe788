"""The vendored files are those that were vendored, and need nothing beside them."""

from __future__ import annotations

import hashlib
import re
from importlib.resources import files

import folium

from econsat.maps import Map, bundle

ASSETS = files("econsat.maps") / "_assets"


def listed() -> dict[str, str]:
    lines = (ASSETS / "SHA256SUMS").read_text().splitlines()
    return {name: sha for sha, name in (line.split("  ") for line in lines if not line.startswith("#"))}


def test_checksums() -> None:
    sums = listed()
    assert {"leaflet.js", "leaflet.css", "jquery.min.js", "licenses/leaflet.txt", "licenses/jquery.txt"} == set(sums)
    for name, sha in sums.items():
        assert hashlib.sha256((ASSETS / name).read_bytes()).hexdigest() == sha, name


def test_every_third_party_file_is_listed() -> None:
    own = {"econsat.js", "econsat.css", "SHA256SUMS"}
    there = {f.name for f in ASSETS.iterdir() if f.is_file()}
    assert there - own == {name for name in listed() if "/" not in name}


def test_styles_embed_their_pictures_and_scripts_have_no_source_map() -> None:
    for name in ("leaflet.css", "econsat.css"):
        targets = re.findall(r"url\(\s*['\"]?([^)'\"]*)", bundle.asset_text(name))
        assert all(t.startswith(("data:", "#")) for t in targets), name
    assert bundle.asset_text("leaflet.css").count("data:image/png;base64,") == 3
    for name in ("leaflet.js", "jquery.min.js", "econsat.js"):
        assert "sourceMappingURL" not in bundle.asset_text(name)


def test_leaflet_is_the_version_that_is_written_down() -> None:
    assert "Leaflet 1.9.4" in bundle.asset_text("leaflet.js")[:200]
    assert "leaflet@1.9.4" in (ASSETS / "SHA256SUMS").read_text()


def test_folium_keeps_its_own_lists_and_maps_do_not_share_theirs() -> None:
    before = list(folium.Map.default_js), list(folium.Map.default_css)
    one, other = Map(), Map()
    one.add_js_link("x", "https://example.org/x.js")
    assert (list(folium.Map.default_js), list(folium.Map.default_css)) == before
    assert "x" not in dict(other.default_js)
    assert Map.default_js == []
    assert all(url.startswith("data:") for _, url in other.default_js + other.default_css)
