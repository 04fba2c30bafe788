"""Port activity: vessels that wait and work by pass, month and season, compared with a port's own past."""

from __future__ import annotations

from econsat.models.ports._activity import activity
from econsat.models.ports._breaks import breaks
from econsat.models.ports._congestion import congestion
from econsat.models.ports._index import index

__all__ = ["activity", "breaks", "congestion", "index"]
