"""Tries of a request, until something comes, the tries are used up, or the time is over."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import TypeVar

from econsat.access._answer import Answer
from econsat.access._content import looks_expired, said, scrubbed
from econsat.access._exchange import Ask, Exchange, host_of
from econsat.access._retry import MAX_RETRY_AFTER, PASSING, Breaker, pause, retry_after
from econsat.access._tally import Tally
from econsat.access._watch import Secrets, TryError, Watch
from econsat.access.redact import shown, unsigned
from econsat.access.settings import Access
from econsat.errors import AccessError, EconsatError

__all__ = ["Attempts"]

T = TypeVar("T")

# As much of an error's body as is looked at for the server's own words.
_SAID = 4096
_REASON = 80
# Faults that tell of the host rather than of one file.
_OF_THE_HOST = frozenset({"connection", "name", "timeout"})
# Idle connections that a server may have closed just when they were used.
_STALE = 2


@dataclass
class Attempts:
    """Tries requests by the patience of an `Access`."""

    access: Access
    exchange: Exchange
    breaker: Breaker
    tally: Tally
    clock: Callable[[], float]
    sleep: Callable[[float], object]
    ending: Callable[[], bool] = field(default=lambda: False)

    def after_fork(self, ending: threading.Event) -> None:
        """Take new locks and another end, in a process that forked."""
        self.breaker.renew_lock()
        if isinstance(getattr(self.sleep, "__self__", None), threading.Event):
            self.sleep = ending.wait
        self.ending = ending.is_set

    def perform(
        self,
        ask: Ask,
        take: Callable[[Answer, str], T],
        *,
        ok: Collection[int],
        advanced: Callable[[], int] | None = None,
        grace: float = 0.0,
    ) -> T:
        """Return what `take` makes of the first answer that it accepts.

        Parameters
        ----------
        ask : Ask
            The request.
        take : callable
            Given an answer with its body unread, and the address that it came from.
        ok : collection of int
            Statuses that `take` wants to see.
        advanced : callable, optional
            The bytes that are kept from try to try. Each try that adds some starts the count of tries, and the time,
            anew.
        grace : float
            Seconds that it may take beyond `access.total`.
        """
        began = self.clock()
        try:
            return self._perform(ask, take, ok, advanced, total=self.access.total + grace)
        finally:
            self.tally.add(seconds=self.clock() - began)

    def _perform(
        self,
        ask: Ask,
        take: Callable[[Answer, str], T],
        ok: Collection[int],
        advanced: Callable[[], int] | None,
        *,
        total: float,
    ) -> T:
        access, host = self.access, host_of(ask.href)
        deadline = self.clock() + total
        tries = 1 if self.breaker.once_only(host) else access.retries + 1
        attempt, stale, fresh, signed_again = 0, 0, False, False
        while True:
            attempt += 1
            if self.ending():
                raise self._error(ask, TryError("connection", "the process is ending"), attempt, host)
            self._hold_back(host, deadline)
            watch = Watch(
                self.clock,
                deadline=deadline,
                connect=access.connect,
                silence=access.timeout,
                min_speed=access.min_speed,
                rolling=None if advanced is None else access.total,
            )
            before = advanced() if advanced is not None else 0
            outcome = self._try(ask, take, ok, watch, fresh)
            if not isinstance(outcome, Exception):
                self.breaker.answered(host)
                return outcome[0]
            if not isinstance(outcome, TryError):
                raise outcome.with_traceback(None)
            fault, fresh = outcome, False
            if fault.refused and ask.signer is not None and not signed_again:
                fresh = signed_again = True
                attempt -= 1
                continue
            if fault.kind == "connection" and not (watch.fresh or watch.answered) and stale < _STALE:
                # The server had closed the idle connection, which says nothing of this request.
                stale, attempt = stale + 1, attempt - 1
                continue
            if advanced is not None and advanced() > before:
                attempt, deadline = 1, self.clock() + access.total
            self._note(host, fault)
            if not fault.passing or attempt >= tries:
                raise self._error(ask, fault, attempt, host)
            wait = self._wait(fault, attempt, deadline)
            if wait is None:
                raise self._error(ask, fault, attempt, host)
            self.tally.add(retries=1)
            self.sleep(wait)

    def _try(
        self, ask: Ask, take: Callable[[Answer, str], T], ok: Collection[int], watch: Watch, fresh: bool
    ) -> tuple[T] | TryError | EconsatError:
        """Return what came, or what went wrong: to be raised where no frame holds a secret."""
        try:
            answer, here, secrets = self.exchange.once(ask, watch, fresh=fresh)
            try:
                if answer.status in ok:
                    return (take(answer, here),)
                return _refusal(answer, secrets)
            finally:
                self.tally.add(bytes=answer.got)
                answer.close()
        except (TryError, EconsatError) as error:
            error.__cause__ = error.__context__ = None
            return error

    def _hold_back(self, host: str, deadline: float) -> None:
        wait = self.breaker.wait(host)
        if wait > 0:
            # Never so long that the request itself has no time left.
            self.sleep(max(0.0, min(wait, (deadline - self.clock()) / 4)))

    def _note(self, host: str, fault: TryError) -> None:
        if fault.status in PASSING or (fault.status is None and fault.kind in _OF_THE_HOST):
            self.breaker.refused(host)
        elif fault.status is not None:
            self.breaker.answered(host)

    def _wait(self, fault: TryError, attempt: int, deadline: float) -> float | None:
        """Return the seconds before the next try; None, and the reason in the fault, where there is no time for it."""
        asked = fault.wait
        if asked is not None and asked > MAX_RETRY_AFTER:
            fault.args = (
                f"{fault}; the server asks to wait {asked:.0f} s, more than the {MAX_RETRY_AFTER:.0f} s that are "
                "waited here: come back then",
            )
            return None
        wait = pause(attempt, self.access.backoff) + (asked or 0.0)
        if self.clock() + wait < deadline:
            return wait
        words = f" (the server asks to wait {asked:.0f} s)" if asked is not None else ""
        fault.args = (f"{fault}; the time for the whole request is over, total={self.access.total:g} s{words}",)
        return None

    def _error(self, ask: Ask, fault: TryError, attempts: int, host: str) -> AccessError:
        tail = ""
        if fault.passing:
            in_a_row = self.breaker.given_up(host)
            tail = (
                f" (tried {attempts} time(s) with timeout={self.access.timeout:g} s; change `timeout` or `retries`, or "
                "try later)"
            )
            if in_a_row >= Breaker.GIVEN_UP:
                tail += f"; {in_a_row} requests to {host} failed in a row, so each next one is tried once, for a while"
        where = f"{ask.what} ({shown(ask.href)})" if ask.what else shown(ask.href)
        return AccessError(
            f"{where}: {fault}{tail}", kind=fault.kind, status=fault.status, href=unsigned(ask.href), attempts=attempts
        )


def _refusal(answer: Answer, secrets: Secrets) -> TryError:
    """Return what a status means that is no answer, with the server's own words."""
    body, status = answer.start(_SAID), answer.status
    expired = status in (400, 401, 403) and looks_expired(body)
    return TryError(
        "expired" if expired else "status",
        f"HTTP {status} {scrubbed(answer.reason[:_REASON], secrets)}".rstrip() + said(body, secrets),
        passing=status in PASSING,
        status=status,
        wait=retry_after(answer.headers, time.time()) if status in PASSING else None,
        refused=status in (401, 403) or expired,
    )
