"""Work that a thread shares with the idle threads of a pool, without ever waiting for one that has not begun."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future, wait
from typing import TypeVar

__all__ = ["share"]

T = TypeVar("T")
R = TypeVar("R")


def share(function: Callable[[T], R], tasks: Iterable[T], *, pool: Executor, threads: int = 32) -> list[R]:
    """Return what a function makes of each task, in their order; idle threads of a pool help.

    The calling thread works through the tasks itself. Helpers that the pool has not begun when nothing is left are
    called off, so a caller that is itself a thread of a full pool gets done as well.

    Parameters
    ----------
    function : callable
        What to do with one task.
    tasks : iterable
        What is to be done.
    pool : concurrent.futures.Executor
        Whose threads help.
    threads : int
        Threads at most, the caller's included.

    Raises
    ------
    Exception
        The first that a task raised; tasks that were not begun by then are dropped.

    Examples
    --------
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> with ThreadPoolExecutor(2) as pool:
    ...     share(len, ["a", "bcd"], pool=pool)
    [1, 3]
    """
    queue = deque(enumerate(tasks))
    results: dict[int, R] = {}
    errors: list[Exception] = []
    count = len(queue)

    def work() -> None:
        while not errors:
            try:
                number, task = queue.popleft()
            except IndexError:
                return
            try:
                results[number] = function(task)
            except Exception as error:  # noqa: BLE001 - raised again by the caller
                errors.append(error)

    helpers: list[Future[None]] = []
    try:
        for _ in range(min(count, threads) - 1):
            try:
                helpers.append(pool.submit(work))
            except RuntimeError:
                # The pool is shut down, as at the end of the process: the caller does all of it.
                break
        work()
    finally:
        queue.clear()
        begun = [helper for helper in helpers if not helper.cancel()]
    wait(begun)
    for helper in begun:
        helper.result()
    if errors:
        raise errors[0]
    return [results[number] for number in range(count)]
