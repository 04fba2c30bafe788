"""Searches that break off and go on: what came is kept, nothing is asked twice, and nothing secret is written."""

from __future__ import annotations

import errno
import json
import signal
import subprocess
import sys
import time
import urllib.parse
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pystac
import pytest

import econsat
from econsat import items as snapshots
from econsat.access import Access
from econsat.access.policy import Policy
from econsat.errors import CacheWarning, CatalogError, EmptySearchError, SearchInterruptedError, TruncatedWarning
from econsat.stac._checkpoint import Checkpoint, Secrets
from econsat.stac._pages import Ask, next_of
from econsat.testing import Fault, FaultServer, make_catalog, make_item

COUNT = 23
Page = dict[str, Any]


def scenes(count: int = COUNT) -> list[pystac.Item]:
    return [
        make_item(
            f"s{k:05d}", assets={"data": f"https://example.org/{k}.tif"}, bbox=(float(k % 90), 0.0, k % 90 + 0.5, 1.0)
        )
        for k in range(count)
    ]


class Paging(FaultServer):
    """A STAC API made of a list of items, which pages by a token, in the next link's body or its address."""

    def __init__(self, folder: Path, items: list[pystac.Item], *, method: str = "POST") -> None:
        super().__init__(folder)
        self.bodies = [item.to_dict() for item in items]
        self.method = method
        self.starts: list[int] = []
        self.epoch = "t"
        self.counts = True
        self.spoil: Callable[[Page, int], Page] | None = None

    def respond(
        self, method: str, target: str, *, headers: Mapping[str, str], sent: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        parts = urllib.parse.urlsplit(target)
        status, body = 200, self._root()
        if parts.path == "/collections":
            extent = {"spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [[None, None]]}}
            one = {"type": "Collection", "id": "tests", "stac_version": "1.0.0", "description": "", "license": "other"}
            body = {"collections": [{**one, "extent": extent, "links": []}], "links": []}
        elif parts.path == "/search":
            query = dict(urllib.parse.parse_qsl(parts.query))
            status, body = self._search(method, json.loads(sent) if method == "POST" else query, query)
        return status, {"Content-Type": "application/json"}, json.dumps(body).encode()

    def _root(self) -> Page:
        search = {"rel": "search", "href": self.url("search"), "type": "application/geo+json", "method": self.method}
        links = [search, {"rel": "data", "href": self.url("collections")}, {"rel": "root", "href": self.url()}]
        conforms = [f"https://api.stacspec.org/v1.0.0/{name}" for name in ("core", "item-search", "collections")]
        root = {"type": "Catalog", "id": "made", "description": "", "stac_version": "1.0.0"}
        return {**root, "conformsTo": conforms, "links": links}

    def _search(self, method: str, asked: Mapping[str, Any], query: Mapping[str, str]) -> tuple[int, Page]:
        token = str(asked.get("token", ""))
        if token and not token.startswith(self.epoch):
            return 400, {"code": "BadRequest", "description": "unknown token"}
        start, limit = int(token[1:]) if token else 0, int(asked["limit"])
        self.starts.append(start)
        found = self.bodies
        if asked.get("bbox"):
            box = asked["bbox"] if isinstance(asked["bbox"], list) else [float(v) for v in asked["bbox"].split(",")]
            found = [b for b in found if b["bbox"][0] <= box[2] and b["bbox"][2] >= box[0]]
        page: Page = {"type": "FeatureCollection", "features": found[start : start + limit], "links": []}
        if self.counts:
            page["numberMatched"] = len(found)
        if start + limit < len(found):
            following = {**asked, "token": f"{self.epoch}{start + limit}"}
            link: dict[str, Any] = {"rel": "next", "method": method, "href": self.url("search")}
            if method == "POST":
                link |= {
                    "body": following,
                    "href": link["href"] + (f"?{urllib.parse.urlencode(query)}" if query else ""),
                }
            else:
                link["href"] += f"?{urllib.parse.urlencode(following)}"
            page["links"] = [link]
        return 200, self.spoil(page, start) if self.spoil else page


@pytest.fixture(params=["POST", "GET"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Paging]:
    with Paging(tmp_path, scenes(), method=request.param) as made:
        yield made


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "search.jsonl"


def ids(items: pystac.ItemCollection) -> list[str]:
    return [item.id for item in items]


ALL = [f"s{k:05d}" for k in range(COUNT)]


def interrupted(server: Paging, kept: Path, pages: int, **options: Any) -> SearchInterruptedError:
    """Search until the server fails for good after some pages; return what was said."""
    catalog = econsat.open_catalog(server.url(), retries=1, backoff=0.0)
    server.fail("/search", Fault(status=503, times=None, skip=pages))
    with pytest.raises(SearchInterruptedError) as caught:
        catalog.search(page_size=5, resume=kept, **options)
    server.heal()
    return caught.value


# breaking off and going on --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pages", [0, 1, 3, 4])
def test_a_search_goes_on_where_it_broke_off(server: Paging, kept: Path, pages: int) -> None:
    said = str(interrupted(server, kept, pages))
    assert f"after {pages * 5} items" in said
    assert "HTTP 503" in said
    if pages:
        assert f"{pages * 5} items are kept in {kept}: the same call, with the same `resume`, goes on" in said
    server.starts.clear()
    seen: list[int] = []

    class Bar:
        def update(self, n: int) -> None:
            seen.append(n)

        def close(self) -> None:
            seen.append(-1)

    items = econsat.open_catalog(server.url()).search(page_size=5, resume=kept, progress=lambda **_: Bar())
    assert ids(items) == ALL
    assert server.starts == list(range(5 * pages, COUNT, 5))
    # Progress counts what was kept as well.
    assert sum(n for n in seen if n > 0) == COUNT
    assert seen[-1] == -1
    search = items.extra_fields["econsat:search"]
    assert search.get("resumed", {}).get("kept", 0) == 5 * pages
    assert (search["matched"], search["returned"]) == (COUNT, COUNT)


def test_what_is_found_is_the_same_with_and_without_an_interruption(server: Paging, kept: Path) -> None:
    whole = econsat.open_catalog(server.url()).search(page_size=5)
    interrupted(server, kept, 2)
    pieces = econsat.open_catalog(server.url()).search(page_size=5, resume=kept)
    again = econsat.open_catalog(server.url()).search(page_size=5, resume=kept)
    expected = [snapshots.as_dict(item) for item in whole]
    assert [snapshots.as_dict(item) for item in pieces] == expected
    assert [snapshots.as_dict(item) for item in again] == expected


def test_a_finished_search_is_not_asked_for_again_until_its_file_is_removed(server: Paging, kept: Path) -> None:
    catalog = econsat.open_catalog(server.url())
    first = catalog.search("tests", resume=kept)
    server.forget()
    fresh = econsat.open_catalog(server.url())
    landing = server.count.total()
    again = fresh.search("tests", resume=kept)
    assert server.count.total() == landing
    assert ids(again) == ids(first) == ALL
    about = again.extra_fields["econsat:search"]
    assert about["resumed"] == {"from": kept.name, "asked_again": False}
    assert about["retrieved_at"] == first.extra_fields["econsat:search"]["retrieved_at"]
    kept.unlink()
    assert ids(fresh.search("tests", resume=kept)) == ALL
    assert server.count["/search"] == 1


def test_several_interruptions_add_up(server: Paging, kept: Path) -> None:
    for pages in (1, 1, 2):
        interrupted(server, kept, pages)
    server.starts.clear()
    assert ids(econsat.open_catalog(server.url()).search(page_size=5, resume=kept)) == ALL
    assert server.starts == [20]


def test_a_search_on_both_sides_of_the_antimeridian_goes_on_in_the_second(tmp_path: Path, kept: Path) -> None:
    items = [make_item(f"w{k}", bbox=(-180.0 + k / 10, 0.0, -179.9 + k / 10, 1.0)) for k in range(7)]
    items += [make_item(f"e{k}", bbox=(179.0 + k / 10, 0.0, 179.1 + k / 10, 1.0)) for k in range(7)]
    region = econsat.regions.box(178, -1, -178, 2)
    with Paging(tmp_path, items) as server:
        interrupted(server, kept, 3, region=region)
        server.starts.clear()
        found = econsat.open_catalog(server.url()).search(page_size=5, resume=kept, region=region)
        assert server.starts == [5]
        assert len(found) == 14
        assert found.extra_fields["econsat:matched"] == 14


def test_max_items_ends_a_search_that_went_on(server: Paging, kept: Path) -> None:
    interrupted(server, kept, 1, max_items=8)
    for _ in range(2):
        with pytest.warns(TruncatedWarning, match="8 items are returned, 23 matched"):
            assert len(econsat.open_catalog(server.url()).search(page_size=5, resume=kept, max_items=8)) == 8
    assert server.starts == [0, 5]


def test_ctrl_c_keeps_what_came_and_stays_ctrl_c(server: Paging, kept: Path) -> None:
    class Impatient:
        def __init__(self, **_: Any) -> None:
            self.seen = 0

        def update(self, n: int) -> None:
            self.seen += n
            if self.seen > 10:
                raise KeyboardInterrupt

        def close(self) -> None:
            pass

    catalog = econsat.open_catalog(server.url())
    with pytest.raises(KeyboardInterrupt) as caught:
        catalog.search(page_size=5, resume=kept, progress=Impatient)
    assert any("10 items are kept" in note for note in caught.value.__notes__)
    server.starts.clear()
    assert ids(catalog.search(page_size=5, resume=kept)) == ALL
    assert server.starts[0] == 10


def test_a_killed_process_loses_no_page_that_had_come(tmp_path: Path, kept: Path) -> None:
    code = "import sys, econsat\neconsat.open_catalog(sys.argv[1]).search(page_size=5, resume=sys.argv[2])\n"
    with Paging(tmp_path, scenes()) as server:
        server.fail("/search", Fault(delay=60.0, skip=3, times=None))
        run = subprocess.Popen([sys.executable, "-c", code, server.url(), str(kept)])
        while server.count["/search"] < 4:
            assert run.poll() is None, "the search ended before it was killed"
            time.sleep(0.05)
        run.send_signal(signal.SIGKILL)
        run.wait(timeout=20)
        server.heal()
        server.starts.clear()
        assert ids(econsat.open_catalog(server.url()).search(page_size=5, resume=kept)) == ALL
        assert server.starts == [15, 20]


@pytest.mark.parametrize("lost", [1, 7, 40, 300])
def test_a_line_that_a_kill_cut_off_is_asked_for_again(server: Paging, kept: Path, lost: int) -> None:
    interrupted(server, kept, 3)
    kept.write_bytes(kept.read_bytes()[:-lost])
    server.starts.clear()
    assert ids(econsat.open_catalog(server.url()).search(page_size=5, resume=kept)) == ALL
    assert server.starts == [10, 15, 20]


def test_a_file_that_was_cut_anywhere_leads_to_the_same_items(tmp_path: Path, kept: Path) -> None:
    with Paging(tmp_path, scenes()) as server:
        interrupted(server, kept, 2)
        whole = kept.read_bytes()
        catalog = econsat.open_catalog(server.url())
        for size in range(0, len(whole) + 1, 211):
            kept.write_bytes(whole[:size])
            assert ids(catalog.search(page_size=5, resume=kept)) == ALL


# files that will not do -----------------------------------------------------------------------------------------------


def test_the_file_of_another_search_is_an_error_that_says_what_differs(server: Paging, kept: Path) -> None:
    interrupted(server, kept, 1)
    catalog = econsat.open_catalog(server.url())
    for options, says in (
        ({"period": "2020"}, "period"),
        ({"region": (0, 0, 1, 1)}, "bounds, region"),
        ({"collections": "tests"}, "collections"),
        ({"max_items": 3}, "max_items"),
    ):
        with pytest.raises(CatalogError, match=rf"belongs to another search \(it differs in {says}\)"):
            catalog.search(resume=kept, **options)
    # Another size of pages is the same search.
    assert ids(catalog.search(page_size=20, resume=kept)) == ALL


def test_a_file_that_was_changed_in_the_middle_is_an_error(server: Paging, kept: Path) -> None:
    interrupted(server, kept, 3)
    kept.write_bytes(kept.read_bytes().replace(b"s00001", b"s00099", 1))
    with pytest.raises(CatalogError, match="changed or damaged in line 2: remove the file"):
        econsat.open_catalog(server.url()).search(resume=kept)


@pytest.mark.parametrize("content", [b"a notebook\n", b'{"type": "FeatureCollection"}\n', b"\x00\xff\n" * 50])
def test_a_file_of_something_else_is_an_error_and_stays(server: Paging, kept: Path, content: bytes) -> None:
    kept.write_bytes(content)
    with pytest.raises(CatalogError, match="no checkpoint of a search"):
        econsat.open_catalog(server.url()).search(resume=kept)
    assert kept.read_bytes() == content


def test_a_file_without_a_line_end_is_not_overwritten(server: Paging, kept: Path) -> None:
    kept.write_text("my only copy")
    with pytest.raises(CatalogError, match="no checkpoint of a search"):
        econsat.open_catalog(server.url()).search(resume=kept)
    assert kept.read_text() == "my only copy"


def test_a_folder_that_is_not_there_is_an_error(server: Paging, tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"`resume`. cannot be written"):
        econsat.open_catalog(server.url()).search(resume=tmp_path / "no" / "a.jsonl")
    with pytest.raises(CatalogError, match=r"`resume`. cannot be read"):
        econsat.open_catalog(server.url()).search(resume=tmp_path)


# links that have run out ----------------------------------------------------------------------------------------------


def test_a_next_page_that_is_not_there_any_more_starts_the_search_again_and_says_so(server: Paging, kept: Path) -> None:
    interrupted(server, kept, 2)
    server.epoch = "u"
    server.starts.clear()
    with pytest.warns(CacheWarning, match=r"cannot go on where .* stopped .*unknown token.*starts again"):
        items = econsat.open_catalog(server.url()).search(page_size=5, resume=kept)
    assert ids(items) == ALL
    assert server.starts == [0, 5, 10, 15, 20]


def test_a_server_that_takes_an_old_token_for_none_starts_the_search_again(server: Paging, kept: Path) -> None:
    interrupted(server, kept, 2)
    first = [True]

    def forgetful(page: Page, start: int) -> Page:
        return {**page, "features": server.bodies[:5]} if first and first.pop() else page

    server.spoil = forgetful
    with pytest.warns(CacheWarning, match="same page again"):
        items = econsat.open_catalog(server.url()).search(page_size=5, resume=kept)
    assert ids(items) == ALL


def test_trouble_is_not_taken_for_a_link_that_ran_out(server: Paging, kept: Path) -> None:
    interrupted(server, kept, 2)
    for status in (403, 429, 503):
        server.fail("/search", Fault(status=status, times=1))
        with pytest.raises(SearchInterruptedError, match="10 items are kept"):
            econsat.open_catalog(server.url(), retries=0).search(page_size=5, resume=kept)
    server.starts.clear()
    assert ids(econsat.open_catalog(server.url()).search(page_size=5, resume=kept)) == ALL
    assert server.starts == [10, 15, 20]


# secrets --------------------------------------------------------------------------------------------------------------


def test_keys_and_signatures_are_not_written_and_the_search_goes_on_with_them(server: Paging, kept: Path) -> None:
    for body in server.bodies:
        body["assets"]["data"]["href"] += "?sig=SIGNATURE&band=1"
        body["links"] = [{"rel": "self", "href": f"{server.url()}items/{body['id']}?key=USERS-KEY"}]

    def spoil(page: Page, start: int) -> Page:
        for link in page["links"]:
            link["href"] += ("&" if "?" in link["href"] else "?") + "key=USERS-KEY"
            link["href"] += "&via=Bearer-TOKEN-9"
        return page

    server.spoil = spoil
    address = f"{server.url()}?key=USERS-KEY"
    catalog = econsat.open_catalog(address, headers={"Authorization": "Bearer Bearer-TOKEN-9"}, retries=0)
    server.fail("/search", Fault(status=503, times=None, skip=2))
    with pytest.raises(SearchInterruptedError) as caught:
        catalog.search(page_size=5, resume=kept)
    text = kept.read_text()
    for secret in ("SIGNATURE", "USERS-KEY", "Bearer-TOKEN-9"):
        assert secret not in text + str(caught.value)
    server.heal()
    server.starts.clear()
    items = econsat.open_catalog(address, headers={"Authorization": "Bearer Bearer-TOKEN-9"}).search(
        page_size=5, resume=kept
    )
    assert ids(items) == ALL
    # The kept link led on, with the key in its place.
    assert server.starts == [10, 15, 20]
    assert "SIGNATURE" not in json.dumps(items.to_dict())
    for secret in ("SIGNATURE", "USERS-KEY", "Bearer-TOKEN-9"):
        assert secret not in kept.read_text()


def test_a_next_link_with_a_signature_is_not_kept_and_the_search_starts_again(server: Paging, kept: Path) -> None:
    def spoil(page: Page, start: int) -> Page:
        for link in page["links"]:
            link["href"] += ("&" if "?" in link["href"] else "?") + "sig=SIGNATURE"
        return page

    server.spoil = spoil
    interrupted(server, kept, 2)
    assert "SIGNATURE" not in kept.read_text()
    server.starts.clear()
    with pytest.warns(CacheWarning, match=r"could not be kept.*starts again"):
        assert ids(econsat.open_catalog(server.url()).search(page_size=5, resume=kept)) == ALL
    assert server.starts[0] == 0


def test_secrets_come_back_where_they_were_whatever_they_are_made_of(kept: Path) -> None:
    for value in ['a"b\\c/d', "näïve-key", "key with & and =", "plain-key-1"]:
        secrets = Secrets("https://example.org/", {"X-Key": value})
        checkpoint = Checkpoint(kept, {"q": 1}, secrets=secrets)
        line = {"next": {"href": f"https://example.org/?x={urllib.parse.quote(value, safe='')}", "body": {"v": value}}}
        checkpoint.add(line)
        assert value not in kept.read_text()
        assert Checkpoint(kept, {"q": 1}, secrets=secrets).lines == [line]
        kept.unlink()


# catalogs that are no API ---------------------------------------------------------------------------------------------


def test_items_of_a_static_catalog_are_not_read_twice(tmp_path: Path, kept: Path) -> None:
    items = [make_item(f"s{k:03d}", bbox=(k / 10, 0.0, k / 10 + 0.1, 1.0)) for k in range(120)]
    path = make_catalog(tmp_path / "tree", items)
    with FaultServer(path.parent) as server:
        server.fail("/tests/s070.json", Fault(status=503, times=None))
        with pytest.raises(SearchInterruptedError, match=r"s070.json.*70 items are kept"):
            econsat.open_catalog(server.url("catalog.json"), retries=0).search(resume=kept, region=(5, 0, 20, 1))
        server.heal()
        server.forget()
        found = econsat.open_catalog(server.url("catalog.json")).search(resume=kept, region=(5, 0, 20, 1))
        assert ids(found) == [f"s{k:03d}" for k in range(49, 120)]
        assert sum(server.count[f"/tests/s{k:03d}.json"] for k in range(70)) == 0
        server.forget()
        catalog = econsat.open_catalog(server.url("catalog.json"))
        assert ids(catalog.search(resume=kept, region=(5, 0, 20, 1))) == ids(found)
        assert set(server.count) == {"/catalog.json"}
    # On this machine, too.
    assert len(econsat.open_catalog(path).search(resume=tmp_path / "b")) == 120


def test_an_empty_search_is_kept_as_well(server: Paging, kept: Path) -> None:
    catalog = econsat.open_catalog(server.url())
    for _ in range(2):
        with pytest.raises(EmptySearchError):
            catalog.search(resume=kept, region=(100, 0, 101, 1))
    assert server.starts == [0]


# faults of paging -----------------------------------------------------------------------------------------------------


def relinked(change: Callable[[dict[str, Any], int], object]) -> Callable[[Page, int], Page]:
    def spoil(page: Page, start: int) -> Page:
        for link in page["links"]:
            change(link, start)
        return page

    return spoil


def test_a_next_link_in_a_circle_is_an_error(server: Paging) -> None:
    server.bodies = server.bodies[:20]

    def back(page: Page, start: int) -> Page:
        if start == 15:
            link = {"rel": "next", "method": server.method, "href": server.url("search"), "body": {"limit": 5}}
            page["links"] = [{**link, "href": link["href"] + ("" if server.method == "POST" else "?limit=5")}]
        return page

    server.spoil = back
    with pytest.raises(CatalogError, match=r"same page again and again .after 20 items"):
        econsat.open_catalog(server.url()).search(page_size=5)


def test_a_lost_next_link_is_found_out(server: Paging) -> None:
    server.spoil = lambda page, start: {**page, "links": []} if start == 5 else page
    with pytest.warns(TruncatedWarning, match="10 items are returned, 23 matched: left out by the server"):
        items = econsat.open_catalog(server.url()).search(page_size=5)
    assert items.extra_fields["econsat:search"]["matched"] == 23


@pytest.mark.parametrize("counts", [True, False])
def test_an_empty_page_in_the_middle_is_gone_past(server: Paging, counts: bool) -> None:
    server.counts = counts
    server.bodies = server.bodies[:20]
    server.spoil = lambda page, start: {**page, "features": []} if start == 5 else page
    with warnings.catch_warnings():
        warnings.simplefilter("error" if not counts else "ignore")
        items = econsat.open_catalog(server.url()).search(page_size=5)
    assert ids(items) == [*ALL[:5], *ALL[10:20]]


def test_empty_pages_without_end_are_stopped_and_said(server: Paging) -> None:
    server.counts = False

    def onward(page: Page, start: int) -> Page:
        if start >= 5:
            page["features"] = []
        if not page["links"]:
            server.bodies += server.bodies
        return page

    server.spoil = onward
    server.bodies = server.bodies * 20
    with pytest.warns(TruncatedWarning, match="5 items are returned, more matched"):
        econsat.open_catalog(server.url()).search(page_size=5)
    assert len(server.starts) <= 30


def test_a_next_page_on_a_private_address_is_refused(server: Paging, kept: Path) -> None:
    server.spoil = relinked(lambda link, start: link.update(href="http://10.0.0.7/search"))
    with pytest.raises(CatalogError, match=r"10.0.0.7/search.*the search .after 5 items. failed: .*private") as caught:
        econsat.open_catalog(server.url()).search(page_size=5, resume=kept)
    # Trying again would not help.
    assert not isinstance(caught.value, SearchInterruptedError)


@pytest.mark.parametrize("href", ["file:///etc/passwd", "/etc/../search\x00", "ftp://example.org/", "http://[x"])
def test_a_next_link_that_leads_nowhere_is_an_error(server: Paging, href: str) -> None:
    server.spoil = relinked(lambda link, start: link.update(href=href))
    with pytest.raises(CatalogError):
        econsat.open_catalog(server.url()).search(page_size=5)
    assert server.starts in ([0], [0, 0])


def test_a_next_page_on_another_host_is_followed_without_the_users_key(tmp_path: Path) -> None:
    with Paging(tmp_path, scenes()) as first, Paging(tmp_path, scenes()) as second:
        first.spoil = relinked(lambda link, start: link.update(href=second.url("search")))
        items = econsat.open_catalog(first.url(), headers={"X-Key": "SECRET"}).search(page_size=5)
        assert ids(items) == ALL
        assert first.starts == [0]
        for server, expected in ((first, {"SECRET"}), (second, {None})):
            sent = [{k.lower(): v for k, v in headers.items()}.get("x-key") for _, _, headers in server.requests]
            assert set(sent) == expected
        only = Access(policy=Policy(hosts=["localhost"]))
        with pytest.raises(CatalogError, match="none of the hosts allowed"):
            econsat.open_catalog(first.url(), access=only)


def test_headers_that_a_next_link_asks_for_are_sent(server: Paging) -> None:
    server.spoil = relinked(lambda link, start: link.update(headers={"X-Page": "yes"}))
    econsat.open_catalog(server.url()).search(page_size=5)
    pages = [headers for _, path, headers in server.requests if path == "/search"]
    assert ["X-Page" in {k.title() for k in headers} for headers in pages] == [False, True, True, True, True]


def test_a_body_that_is_to_be_merged_is_merged(tmp_path: Path) -> None:
    def merge(link: dict[str, Any], start: int) -> None:
        link["body"] = {"token": link["body"]["token"]}
        link["merge"] = True

    with Paging(tmp_path, scenes()) as server:
        server.spoil = relinked(merge)
        assert ids(econsat.open_catalog(server.url()).search(page_size=5)) == ALL


def test_relative_next_links_are_resolved_against_their_page(server: Paging) -> None:
    server.spoil = relinked(lambda link, start: link.update(href=link["href"].replace(server.url(), "./")))
    assert ids(econsat.open_catalog(server.url()).search(page_size=5)) == ALL


def test_more_pages_than_are_allowed_are_an_error_and_not_the_end(server: Paging) -> None:
    access = Access(policy=Policy(max_pages=3))
    with pytest.raises(CatalogError, match=r"more than 3 pages .after 15 items.*max_pages"):
        econsat.open_catalog(server.url(), access=access).search(page_size=5)
    assert server.starts == [0, 5, 10]
    assert len(econsat.open_catalog(server.url(), access=access).search(page_size=10)) == COUNT


def test_a_million_pages_are_not_followed(tmp_path: Path) -> None:
    with Paging(tmp_path, scenes(1)) as server:
        one = server.bodies[0]

        def endless(page: Page, start: int) -> Page:
            link = {"rel": "next", "href": server.url("search"), "method": "POST"}
            following = {"limit": 1, "token": f"t{start + 1}"}
            return {**page, "features": [{**one, "id": f"e{start}"}], "links": [{**link, "body": following}]}

        server.spoil = endless
        with pytest.raises(CatalogError, match="more than 200 pages"):
            econsat.open_catalog(server.url(), access=Access(policy=Policy(max_pages=200))).search(page_size=1)
        assert len(server.starts) == 200


@pytest.mark.parametrize("body", [b"<html>log in</html>", b"{}", b"[]", b"", b'{"features": "x"}'])
def test_a_later_page_that_is_not_stac_is_an_error_and_what_came_is_kept(
    server: Paging, kept: Path, body: bytes
) -> None:
    server.fail("/search", Fault(body=body, content_type="application/json", skip=2, times=1))
    catalog = econsat.open_catalog(server.url(), retries=0)
    with pytest.raises(CatalogError):
        catalog.search(page_size=5, resume=kept)
    server.starts.clear()
    assert ids(catalog.search(page_size=5, resume=kept)) == ALL
    assert server.starts == [10, 15, 20]


# two at one file ------------------------------------------------------------------------------------------------------


def test_two_searches_at_one_file_do_not_spoil_it(server: Paging, kept: Path) -> None:
    # A second search with the same file runs while the first waits for its third page.
    other: list[Any] = []

    def second(page: Page, start: int) -> Page:
        if start == 10 and not other:
            other.append(None)
            other[0] = econsat.open_catalog(server.url()).search(page_size=5, resume=kept)
        return page

    server.spoil = second
    with pytest.raises(CatalogError, match="another process while this search ran"):
        econsat.open_catalog(server.url()).search(page_size=5, resume=kept)
    assert len(other[0]) == COUNT
    server.starts.clear()
    assert len(econsat.open_catalog(server.url()).search(page_size=5, resume=kept)) == COUNT
    assert server.starts == []
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]


def test_pages_of_two_searches_are_not_mixed(kept: Path) -> None:
    first, second = (Checkpoint(kept, {"a": 1}, secrets=Secrets("", {})) for _ in range(2))
    first.add({"items": [1]})
    # As long as the line of the first.
    with pytest.raises(CatalogError, match="another process"):
        second.add({"items": [2]})
    assert Checkpoint(kept, {"a": 1}, secrets=Secrets("", {})).lines == [{"items": [1]}]


def test_a_checkpoint_on_a_full_disk_is_an_error_and_is_gone_on_from(
    server: Paging, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes = 0

    def full(handle: int) -> None:
        nonlocal writes
        writes += 1
        if writes == 3:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("econsat.stac._checkpoint.os.fsync", full)
    with pytest.raises(CatalogError, match="cannot be written: No space left on device"):
        econsat.open_catalog(server.url()).search(page_size=5, resume=kept)
    # What was half written goes.
    kept.write_bytes(kept.read_bytes()[:-7])
    assert len(econsat.open_catalog(server.url()).search(page_size=5, resume=kept)) == COUNT


# servers that say little, lie elsewhere, or do not listen -------------------------------------------------------------


class Spare(Paging):
    """Says nothing of what it conforms to, nor of methods, and lies behind a redirect."""

    methods: tuple[str, ...] = ("GET", "POST")

    def respond(
        self, method: str, target: str, *, headers: Mapping[str, str], sent: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        if target == "/v1":
            return 301, {"Location": "/v1/"}, b""
        if not target.startswith("/v1/"):
            return 404, {}, b"{}"
        if target.startswith("/v1/search") and method not in self.methods:
            return 405, {}, b"{}"
        return super().respond(method, target[3:], headers=headers, sent=sent)

    def _root(self) -> Page:
        links = [{"rel": "search", "href": "search"}, {"rel": "data", "href": "./collections"}]
        return {"type": "Catalog", "id": "spare", "description": "", "stac_version": "1.0.0", "links": links}

    def _search(self, method: str, asked: Mapping[str, Any], query: Mapping[str, str]) -> tuple[int, Page]:
        status, page = super()._search(method, asked, query)
        for link in page.get("links", ()):
            link["href"] = link["href"].replace("/search", "/v1/search")
        return status, page


@pytest.mark.parametrize("path", ["v1", "v1/"])
@pytest.mark.parametrize("methods", [("GET",), ("POST",), ("GET", "POST")])
def test_a_server_that_says_little_and_lies_behind_a_redirect_is_searched(
    tmp_path: Path, path: str, methods: tuple[str, ...]
) -> None:
    with Spare(tmp_path, scenes()) as server:
        server.methods = methods
        catalog = econsat.open_catalog(server.url(path))
        assert catalog.collections()["id"].tolist() == ["tests"]
        assert len(catalog.search("tests", page_size=5)) == COUNT
        assert len(catalog.search("tests", page_size=5, region=(0, 0, 3.2, 1))) == 4


def test_a_filter_is_not_asked_of_a_server_that_says_nothing_of_filters(tmp_path: Path) -> None:
    with Spare(tmp_path, scenes()) as server, pytest.raises(CatalogError, match="does not say that it evaluates"):
        econsat.open_catalog(server.url("v1/")).search(filter="a = 1")


def test_a_static_catalog_behind_a_redirect_is_read_from_where_it_lies(tmp_path: Path) -> None:
    class Moved(FaultServer):
        def respond(
            self, method: str, target: str, *, headers: Mapping[str, str], sent: bytes
        ) -> tuple[int, dict[str, str], bytes] | None:
            return (302, {"Location": "/there/catalog.json"}, b"") if target == "/start" else None

    make_catalog(tmp_path / "there", [make_item("a", assets={"data": "./a.tif"})])
    with Moved(tmp_path) as server:
        straight = econsat.open_catalog(server.url("there/catalog.json")).search()
        moved = econsat.open_catalog(server.url("start")).search()
        assert moved[0].assets["data"].href == straight[0].assets["data"].href


def test_items_of_collections_that_were_not_asked_for_are_an_error(server: Paging) -> None:
    server.bodies[7]["collection"] = "other"
    with pytest.raises(CatalogError, match="'s00007' of the collection 'other', where tests was asked for"):
        econsat.open_catalog(server.url()).search("tests", page_size=5)
    assert len(econsat.open_catalog(server.url()).search(page_size=5)) == COUNT


def test_headers_are_merged_where_a_next_link_says_so() -> None:
    ask = Ask("https://example.org/s", "POST", {"limit": 5}, None, {"X-A": "1"})
    link = {"rel": "next", "href": "?page=2", "method": "POST", "body": {"token": "t"}, "headers": {"X-B": "2"}}
    merged = next_of({"links": [{**link, "merge": True}]}, ask, "https://example.org/s")
    assert merged is not None
    assert merged.headers == {"X-A": "1", "X-B": "2"}
    assert (merged.body, merged.href) == ({"limit": 5, "token": "t"}, "https://example.org/s?page=2")
    alone = next_of({"links": [link]}, ask, "https://example.org/s")
    assert alone is not None
    assert (alone.headers, alone.body) == ({"X-B": "2"}, {"token": "t"})
