"""Dev-Guro's own tables, in the database that also holds the queue, or the outbox of one in Redis."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    URL,
    CheckConstraint,
    DateTime,
    Engine,
    ForeignKey,
    String,
    Text,
    UniqueConstraint,
    create_engine,
    event,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.schema import CreateTable
from sqlalchemy.types import TypeDecorator

from comanda.sqlalchemy import prepare

from .places import from_environment

PLACES = from_environment()

TECH_STACK = "tech-stack"
"""The one type of tag there is so far."""


class UtcDateTime(TypeDecorator[datetime]):
    """Aware datetimes in a store that knows no zones."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Store UTC."""
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Read UTC."""
        return None if value is None else value.replace(tzinfo=UTC)


def now() -> datetime:
    """Return the time, aware."""
    return datetime.now(UTC)


class Base(DeclarativeBase):
    """The tables of this application; comanda's own stand beside them under its prefix."""


class Log(Base):
    """What a developer wrote, and the job that looks for technologies in it."""

    __tablename__ = "logs"

    id: Mapped[int] = mapped_column(primary_key=True)
    entry: Mapped[str] = mapped_column(Text)
    timestamp: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    job_id: Mapped[str | None] = mapped_column(String(36))  # known once the job is in, in the same transaction
    tags: Mapped[list[Tag]] = relationship(order_by="Tag.id", passive_deletes="all")


class Tag(Base):
    """A technology found in a log."""

    __tablename__ = "tags"
    __table_args__ = (
        UniqueConstraint("log_id", "type", "value"),
        CheckConstraint("length(type) <= 20"),
        CheckConstraint("length(value) <= 120"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    log_id: Mapped[int] = mapped_column(ForeignKey("logs.id", ondelete="CASCADE"))
    type: Mapped[str] = mapped_column(String(20))
    value: Mapped[str] = mapped_column(String(120))
    timestamp: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


def _open(url: URL) -> Engine:
    engine = create_engine(url)
    if url.get_backend_name() != "sqlite":
        return engine
    prepare(engine)

    @event.listens_for(engine, "connect")
    def _enforce_foreign_keys(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA foreign_keys = ON")

    return engine


engine = _open(PLACES.logs)


def create_tables() -> None:
    """Create the tables where they do not exist; several processes may do so at once."""
    with engine.begin() as connection:
        for table in Base.metadata.sorted_tables:
            connection.execute(CreateTable(table, if_not_exists=True))
