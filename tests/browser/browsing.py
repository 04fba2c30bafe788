"""A headless Chromium that can reach nothing but this machine, and what it saw of a page."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # No name resolves: what a page asks for outside fails here as it does where there is no network.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
]
LOCAL = ("data:", "blob:", "about:", "file:", "http://127.0.0.1:", "ws://127.0.0.1:")


@dataclass
class Frame:
    """One iframe of a page: how large it is, what is drawn in it, and how many colours it shows."""

    width: float
    height: float
    shapes: int
    colours: int

    @property
    def drawn(self) -> bool:
        """Whether a map is to be seen: shapes or pictures in it, and more than a plain surface."""
        return self.shapes > 0 and self.colours > 8 and min(self.width, self.height) > 50


@dataclass
class Look:
    """What was seen of a page."""

    console: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    cell_errors: list[str] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    blank_pictures: list[str] = field(default_factory=list)
    executed: int = 0


def chromium() -> str:
    """Return the browser's path, empty when there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("ECONSAT_CHROMIUM") or next(filter(None, map(shutil.which, names)), "")


@contextmanager
def open_page(look: Look, *, width: int = 1280, height: int = 900) -> Iterator[Any]:
    """Give a page whose errors and outside requests are noted in `look`."""
    from playwright.sync_api import sync_playwright

    def request(asked: Any) -> None:
        if not asked.url.startswith(LOCAL):
            look.outside.append(asked.url)

    def refused(asked: Any) -> None:
        # A page's own policy stopped it before anything was sent.
        if asked.failure == "csp" and asked.url in look.outside:
            look.outside.remove(asked.url)
            look.refused.append(asked.url)

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        page = browser.new_page(viewport={"width": width, "height": height})
        page.on("request", request)
        page.on("requestfailed", refused)
        page.on("console", lambda said: look.console.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: look.console.append(str(error)))
        try:
            yield page
        finally:
            browser.close()


def count_colours(png: bytes) -> int:
    """Count the colours of a picture, up to 256."""
    from PIL import Image

    with Image.open(io.BytesIO(png)) as picture:
        return len(picture.convert("RGB").quantize(256).getcolors() or [])


def see_frames(page: Any, look: Look, *, pictures: Path | None = None) -> None:
    """Scroll to each visible iframe, note what is drawn in it, and keep a picture of it."""
    for number, element in enumerate(page.query_selector_all("iframe")):
        if not element.is_visible():
            continue
        element.scroll_into_view_if_needed()
        page.wait_for_timeout(300)
        box = element.bounding_box() or {"width": 0, "height": 0}
        frame = element.content_frame()
        shapes = (
            frame.evaluate("document.querySelectorAll('svg path, canvas, .leaflet-pane img').length") if frame else 0
        )
        png = element.screenshot()
        look.frames.append(Frame(box["width"], box["height"], shapes, count_colours(png)))
        if pictures is not None:
            (pictures / f"map-{number + 1}.png").write_bytes(png)


def see_pictures(page: Any, look: Look) -> None:
    """Note each visible picture that did not load or shows one colour only."""
    for element in page.query_selector_all("img"):
        if not element.is_visible():
            continue
        loaded = element.evaluate("e => e.complete && e.naturalWidth > 0")
        if not loaded or count_colours(element.screenshot()) < 2:
            look.blank_pictures.append(element.get_attribute("alt") or "(no text)")


def look_at_report(path: Path, *, pictures: Path | None = None, media: str = "screen", width: int = 1280) -> Look:
    """Open a report from the disk, as a reader without a network does.

    Parameters
    ----------
    path : Path
        The HTML file.
    pictures : Path, optional
        Folder for screenshots: ``report.png`` and one a map.
    media : str
        ``"screen"`` or ``"print"``.
    width : int
        Width of the window.
    """
    look = Look()
    with open_page(look, width=width) as page:
        page.goto(path.resolve().as_uri())
        page.wait_for_timeout(800)
        page.emulate_media(media=media)
        see_pictures(page, look)
        see_frames(page, look, pictures=pictures)
        if pictures is not None:
            page.evaluate("scrollTo(0, 0)")
            page.wait_for_timeout(300)
            page.screenshot(path=pictures / "report.png", full_page=True)
    return look
