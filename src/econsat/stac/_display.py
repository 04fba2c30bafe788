"""Items in a notebook: pystac writes what a catalog says into HTML as it is, and a title may bring a script along."""

from __future__ import annotations

__all__ = ["escape_texts"]


def escape_texts() -> None:
    """Have pystac escape every text when it shows an item, an asset, a link or a list of items.

    Its templates are named ``.jinja2``, and jinja2's `select_autoescape` escapes in ``.html`` and ``.xml`` alone
    (pystac 1.15.2, `pystac.html.jinja_env`). The setting is made for the whole process, so that an item that was read
    without econsat shows itself safely, too. Calling it again changes nothing.

    Examples
    --------
    >>> from econsat.testing import make_item
    >>> escape_texts()
    >>> "<img" in make_item("<img src=x onerror=alert(1)>")._repr_html_()
    False
    """
    try:
        from pystac.html.jinja_env import get_jinja_env
    except ImportError:
        # Another pystac: without jinja2 it escapes by itself.
        return
    environment = get_jinja_env()
    if environment is not None and environment.autoescape is not True:
        environment.autoescape = True
        # A template compiled before does not escape.
        if environment.cache is not None:
            environment.cache.clear()
