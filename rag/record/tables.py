"""The schema: conversations have turns, turns have votes and hand-overs. Times are UTC."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import JSON, CheckConstraint, Column, DateTime, ForeignKey, Integer, MetaData, String, Table, Text

ID = String(64)


def now() -> datetime:
    """The present, in UTC."""
    return datetime.now(UTC)


metadata = MetaData()

conversations = Table(
    "conversations",
    metadata,
    Column("id", ID, primary_key=True),
    Column("created", DateTime(timezone=True), nullable=False, default=now),
    Column("updated", DateTime(timezone=True), nullable=False, default=now),
)
turns = Table(
    "turns",
    metadata,
    Column("answer_id", ID, primary_key=True),
    Column("conversation_id", ID, ForeignKey("conversations.id"), nullable=False, index=True),
    Column("number", Integer, nullable=False),  # within the conversation, from 1
    Column("question", Text, nullable=False),
    Column("answer", JSON, nullable=False),  # the answer object of the command line's contract
    Column("outcome", String(16), nullable=False),
    Column("rung", String(16), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("timings", JSON, nullable=False),  # milliseconds by stage
    Column("created", DateTime(timezone=True), nullable=False, default=now, index=True),
)
votes = Table(
    "votes",
    metadata,
    Column("answer_id", ID, ForeignKey("turns.answer_id"), primary_key=True),
    Column("value", Integer, CheckConstraint("value in (-1, 1)"), nullable=False),
    Column("comment", Text, nullable=False),
    Column("created", DateTime(timezone=True), nullable=False, default=now, onupdate=now),
)
hand_overs = Table(
    "hand_overs",
    metadata,
    Column("answer_id", ID, ForeignKey("turns.answer_id"), primary_key=True),
    Column("reason", String(32), nullable=False),
    Column("question", Text, nullable=False),
    Column("history", JSON, nullable=False),  # [{"role", "text"}], oldest first: what the colleague reads
    Column("status", String(16), CheckConstraint("status in ('open', 'closed')"), nullable=False, default="open"),
    Column("created", DateTime(timezone=True), nullable=False, default=now),
)
