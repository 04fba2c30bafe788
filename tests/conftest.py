"""Shared by all tests: no network but loopback, and the fixtures that several files use."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The same examples each time, and none fails for being slow: what a busy machine does is no property of the code.
_ALWAYS = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("same", derandomize=True, **_ALWAYS)
# pytest --hypothesis-profile=search looks for new ones.
settings.register_profile("search", print_blob=True, **_ALWAYS)
settings.load_profile("same")

_LOOPBACK = ("127.", "::1", "localhost")


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.socket.connect

    def guarded(sock: socket.socket, address: object) -> None:
        host = address[0] if isinstance(address, tuple) else ""
        if isinstance(address, tuple) and not str(host).startswith(_LOOPBACK):
            raise RuntimeError(f"a test tried to reach {host!r}: tests may use loopback only")
        return connect(sock, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(scope="session")
def samples() -> Path:
    """Return the folder of public sample files, or skip when `ECONSAT_SAMPLES` does not name one."""
    folder = os.environ.get("ECONSAT_SAMPLES", "")
    if not folder or not Path(folder).is_dir():
        pytest.skip("ECONSAT_SAMPLES does not name a folder of public samples")
    return Path(folder)
