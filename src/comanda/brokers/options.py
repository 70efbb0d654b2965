"""What stands behind the `?` of a broker URL."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import parse_qsl, urlsplit

from ..errors import UnknownOption


def options(url: str, known: Collection[str] = ()) -> dict[str, str]:
    """Return the options of a URL by name; raise UnknownOption for one that is not among the `known` ones."""
    found = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    for name in found:
        if name not in known:
            scheme = url.partition("://")[0]
            takes = f"known are {', '.join(sorted(known))}" if known else "they take none"
            raise UnknownOption(f"{scheme} URLs have no option {name!r}; {takes}")
    return found
