"""Names in statements instead of numbers: `{owner}` becomes `$2`.

`{ns}` is the schema and `{now}` the present, the parameter before all others where a statement speaks of it; both are
put in when a statement meets its store.
"""

from __future__ import annotations

NOW = "{now}"
PRESENT = "coalesce($1::timestamptz, now())"
"""The caller's clock in tests, otherwise the server's: the same throughout a transaction."""


def query(template: str, *names: str) -> str:
    """Return a statement whose parameters are `names`, in this order."""
    for place, name in enumerate(names, 2 if NOW in template else 1):
        template = template.replace(f"{{{name}}}", f"${place}")
    return template
