"""What the server says about itself."""

from __future__ import annotations

from .store import Store

_SETTINGS = """
SELECT current_setting('server_version'), current_setting('fsync'), current_setting('synchronous_commit'),
       current_setting('full_page_writes'),
       (SELECT extract(epoch FROM max(now() - xact_start))::bigint FROM pg_stat_activity
        WHERE backend_xmin IS NOT NULL AND datname = current_database()),
       (SELECT coalesce(sum(n_dead_tup), 0)::bigint FROM pg_stat_all_tables
        WHERE schemaname = trim('{ns}', '"') AND relname IN ('ready', 'claimed'))
"""

OLD_SNAPSHOT = 600
"""Seconds for which a transaction may stay open before it is worth a warning: it keeps dead rows from being removed."""

MANY_DEAD = 1_000_000
"""Dead rows in the hot tables that are worth one."""


def describe(store: Store) -> dict[str, str]:
    """Return version and durability, and a warning where a guarantee is missing or the server falls behind."""
    ((version, fsync, commit, pages, oldest, dead),) = store.look(_SETTINGS)
    warnings = []
    if fsync == "off" or commit == "off":
        off = "fsync" if fsync == "off" else "synchronous_commit"
        warnings.append(f"{off} is off: jobs that were accepted are lost when the server crashes; switch it on")
    if oldest is not None and oldest > OLD_SNAPSHOT:
        warnings.append(
            f"a transaction has been open for {oldest} s and keeps dead rows in the queue's tables: find it in "
            "pg_stat_activity and end it"
        )
    if dead > MANY_DEAD:
        warnings.append(f"{dead:,} dead rows in the queue's tables: autovacuum does not keep up, or something stops it")
    return {
        "server": f"PostgreSQL {version.split()[0]}",
        "durability": f"fsync={fsync}, synchronous_commit={commit}, full_page_writes={pages}",
        **({"warning": "; ".join(warnings)} if warnings else {}),
    }
