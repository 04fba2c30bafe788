"""Re-create the vendored browser files of `econsat.maps` from the npm registry, at exact versions.

Run `python tools/build_assets.py`; it needs the `npm` client, which says where the registry is. Each package must
have the SHA-512 that is written below. Every `url()` of a style sheet becomes a data: URI, and source maps
are dropped, so that the files need nothing beside them.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import tarfile
import tempfile
from pathlib import Path

ASSETS = Path(__file__).resolve().parent.parent / "src" / "econsat" / "maps" / "_assets"

PACKAGES = {
    "leaflet@1.9.4": "nxS1ynzJOmOlHp+iL3FyWqK89GtNL8U8rvlMOsQdTTssxZwCXh8N2NB3GDQOL+YR3XnWyZAxwQixURb+FA74PA==",
    "jquery@3.7.1": "m4avr8yL8kmFN8psrbFFFmB/If14iN5o9nw/NgnnM+kybDJpRsAynV2BsfpTYrTRysYUdADVD7CkUUizgkpLfg==",
}

# Leaflet looks for its marker pictures beside the style sheet; in a data: URI there is no "beside".
MARKER_FIX = "\n;delete L.Icon.Default.prototype._getIconUrl;L.Icon.Default.mergeOptions({options});\n"


def unpack(package: str, sha512: str, folder: Path) -> Path:
    """Fetch one npm package, check it against its SHA-512, and return its unpacked folder."""
    told = subprocess.run(
        ["npm", "pack", "--json", package], cwd=folder, check=True, capture_output=True, text=True
    ).stdout
    archive = folder / json.loads(told)[0]["filename"]
    found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if found != sha512:
        raise SystemExit(f"{package}: SHA-512 is {found}, expected {sha512}")
    place = folder / package.replace("@", "-")
    with tarfile.open(archive) as tar:
        tar.extractall(place, filter="data")
    return place / "package"


def picture(path: Path) -> str:
    """Return a PNG file as a data: URI."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def self_contained(css: Path) -> str:
    """Return a style sheet with every `url()` embedded; a missing file raises."""

    def embed(match: re.Match[str]) -> str:
        target = match.group(1).strip("'\"")
        return match.group(0) if target.startswith("data:") else f"url({picture(css.parent / target)})"

    # The only url() that is no file belongs to the vector language of Internet Explorer 8.
    text = re.sub(r"\n\s*behavior:\s*url\(#default#VML\);", "", css.read_text(encoding="utf-8"))
    return re.sub(r"url\(([^)]*)\)", embed, text)


def without_source_map(js: Path) -> str:
    """Return a script without the link to its source map."""
    return re.sub(r"\n?//# sourceMappingURL=\S*", "", js.read_text(encoding="utf-8"))


def main() -> None:
    """Write the files, their licences and their checksums."""
    with tempfile.TemporaryDirectory() as name:
        folders = {package: unpack(package, sha, Path(name)) for package, sha in PACKAGES.items()}
        leaflet, jquery = folders["leaflet@1.9.4"], folders["jquery@3.7.1"]
        images = leaflet / "dist" / "images"
        icons = {
            "iconUrl": picture(images / "marker-icon.png"),
            "iconRetinaUrl": picture(images / "marker-icon-2x.png"),
            "shadowUrl": picture(images / "marker-shadow.png"),
        }
        fix = MARKER_FIX.replace("{options}", json.dumps(icons))
        files = {
            "leaflet.js": without_source_map(leaflet / "dist" / "leaflet.js") + fix,
            "leaflet.css": self_contained(leaflet / "dist" / "leaflet.css"),
            "jquery.min.js": without_source_map(jquery / "dist" / "jquery.min.js"),
            "licenses/leaflet.txt": (leaflet / "LICENSE").read_text(encoding="utf-8"),
            "licenses/jquery.txt": (jquery / "LICENSE.txt").read_text(encoding="utf-8"),
        }
    (ASSETS / "licenses").mkdir(parents=True, exist_ok=True)
    sums = []
    for path, text in sorted(files.items()):
        data = text.encode("utf-8")
        (ASSETS / path).write_bytes(data)
        sums.append(f"{hashlib.sha256(data).hexdigest()}  {path}\n")
    versions = "".join(f"# {package}  sha512-{sha}\n" for package, sha in PACKAGES.items())
    (ASSETS / "SHA256SUMS").write_text(versions + "".join(sums), encoding="utf-8")


if __name__ == "__main__":
    main()
