"""GeoTIFFs read by our own ranges: where the tiles lie, which of them a window needs, a small file of just those."""

from __future__ import annotations
