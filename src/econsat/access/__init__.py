"""The one door through which bytes enter: what is allowed, how long it may take, who signs, what is kept."""

from __future__ import annotations

from econsat.access.cache import Cache
from econsat.access.links import Link
from econsat.access.policy import Policy
from econsat.access.settings import Access

__all__ = ["Access", "Cache", "Link", "Policy"]
