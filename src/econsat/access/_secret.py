"""Words that must not show themselves."""

from __future__ import annotations

from functools import partial

from econsat.errors import ParameterError

__all__ = ["Secret"]


class Secret:
    r"""A token or key that does not show itself.

    A signer's may be pickled, because the workers of a cluster must be able to sign: whoever sends a signer sends what
    it signs with.

    Parameters
    ----------
    value : str
        The word: ASCII letters, digits and signs without spaces, as fit for a header.
    where : str
        The argument or variable that it came from, for the message.
    travels : bool
        Whether it may be pickled and copied.

    Raises
    ------
    ParameterError
        It is empty or has characters that no token has; the message does not hold it.

    Examples
    --------
    >>> Secret("abc.def", where="token=")
    <a secret>
    >>> Secret("abc\r\nX: y", where="token=")
    Traceback (most recent call last):
    econsat.errors.ParameterError: token= is empty, or holds spaces or characters that no token has; ...
    """

    __slots__ = ("_travels", "_value")

    def __init__(self, value: str, *, where: str, travels: bool = True) -> None:
        value = value.strip() if isinstance(value, str) else ""
        if not value or not all(32 < ord(c) < 127 for c in value):
            # A traceback may show variables.
            value = ""
            raise ParameterError(
                f"{where} is empty, or holds spaces or characters that no token has; it is not shown here"
            )
        self._value, self._travels = value, travels

    def __reduce__(self) -> tuple[object, ...]:
        if not self._travels:
            raise TypeError("a token is not written down")
        return partial(Secret, where="a token"), (self._value,)

    def __repr__(self) -> str:
        return "<a secret>"

    def reveal(self) -> str:
        """Return the word itself, for a request."""
        return self._value
