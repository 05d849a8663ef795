"""The record: every finished turn, the shoppers' votes, and what waits for a person."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, func, insert, select, text, update
from sqlalchemy.engine import URL, make_url

from rag.errors import DataError
from rag.language import seen
from rag.record.tables import conversations, hand_overs, metadata, now, turns, votes
from rag.types import Answer, History, Outcome

_PRIVATE = 0o600  # shoppers' words: for the owner's eyes only
_BUSY = 5000  # milliseconds that a writer waits for another
_COMMENT = 2000  # characters of a comment that are kept
_BATCH = 500  # rows fetched at a time by turns()


@dataclass(frozen=True, slots=True)
class Recorded:
    """One turn as recorded, with its vote (0: none)."""

    conversation: str
    number: int  # within the conversation, from 1
    question: str
    answer: dict[str, Any]  # the answer object
    created: datetime  # UTC
    vote: int
    comment: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A hand-over that no person has closed yet."""

    answer_id: str
    reason: str
    question: str
    history: list[dict[str, str]]  # [{"role", "text"}], oldest first
    created: datetime  # UTC


class Recorder:
    """An Observer over any SQLAlchemy URL; threads and processes may share it.

    Raises what the database raises: whoever calls observe() on the answer path catches it, so that a full disk does not
    cost the shopper the answer.
    """

    def __init__(self, url: str, as_dict: Callable[[Answer], dict[str, Any]]) -> None:
        """Make the tables that are missing. `as_dict` turns an answer into its JSON form; a new SQLite file gets mode 0600."""
        self._as_dict = as_dict
        self._engine = _engine(make_url(url))
        metadata.create_all(self._engine)

    def observe(self, conversation: str, question: str, history: History, answer: Answer) -> None:
        """Keep one turn, durably; a hand-over is queued with its history. Without a name each turn is its own conversation."""
        name = conversation or answer.id
        contract = self._as_dict(answer)
        with self._engine.begin() as connection:
            _touch(connection, name)
            number = select(func.coalesce(func.max(turns.c.number), 0) + 1).where(turns.c.conversation_id == name)
            connection.execute(
                insert(turns).values(
                    answer_id=answer.id,
                    conversation_id=name,
                    number=number.scalar_subquery(),
                    question=_storable(question),
                    answer=contract,
                    outcome=answer.outcome.value,
                    rung=answer.rung,
                    generation=answer.generation,
                    timings=dict(answer.timings),
                )
            )
            if answer.outcome is Outcome.HANDED_OVER:
                said = [{"role": turn.role, "text": _storable(turn.text)} for turn in history]
                row = {"answer_id": answer.id, "reason": answer.reason, "question": _storable(question), "history": said}
                connection.execute(insert(hand_overs).values(row))

    def vote(self, answer_id: str, value: int, comment: str = "") -> None:
        """Keep a thumb, +1 or -1; voting again replaces it. Raises DataError for another value or an unknown answer."""
        if value not in (-1, 1):
            raise DataError(expected="a vote of 1 or -1", found=repr(value), remedy="send one of the two")
        row = {"value": value, "comment": _storable(comment)[:_COMMENT]}
        with self._engine.begin() as connection:
            if connection.execute(update(votes).where(votes.c.answer_id == answer_id).values(row)).rowcount:
                return
            if not connection.execute(select(turns.c.answer_id).where(turns.c.answer_id == answer_id)).first():
                raise DataError(expected="the id of a recorded answer", found=repr(answer_id[:64]), remedy="ask, then vote")
            connection.execute(insert(votes).values(answer_id=answer_id, **row))

    def turns(self) -> Iterator[Recorded]:
        """All turns with their votes, conversation by conversation in the order they began."""
        query = (
            select(turns, votes.c.value, votes.c.comment)
            .join_from(turns, conversations)
            .outerjoin(votes)
            .order_by(conversations.c.created, conversations.c.id, turns.c.number)
            .execution_options(yield_per=_BATCH)
        )
        with self._engine.connect() as connection:
            for row in connection.execute(query):
                yield Recorded(
                    row.conversation_id,
                    row.number,
                    row.question,
                    row.answer,
                    _utc(row.created),
                    row.value or 0,
                    row.comment or "",
                )

    def waiting(self) -> list[Waiting]:
        """Open hand-overs, the longest waiting first."""
        query = select(hand_overs).where(hand_overs.c.status == "open").order_by(hand_overs.c.created)
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return [Waiting(row.answer_id, row.reason, row.question, row.history, _utc(row.created)) for row in rows]

    def forget(self, gone: Callable[[str], bool]) -> int:
        """Empty each text of recorded answers, and of what waits for a person, that is `gone`; returns how many turns had one.

        What shoppers asked stays. A SQLite file is written anew, so that nothing is left between its pages.
        """
        touched: set[str] = set()
        with self._engine.begin() as connection:
            for table, column in ((turns, turns.c.answer), (hand_overs, hand_overs.c.history)):
                for key, held in connection.execute(select(table.c.answer_id, column)).all():
                    if (kept := _without(held, gone)) != held:
                        connection.execute(update(table).where(table.c.answer_id == key).values({column: kept}))
                        touched.add(key)
        if self._engine.dialect.name == "sqlite":
            with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("VACUUM"))
                connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
        return len(touched)

    def close(self) -> None:
        """Release the connections."""
        self._engine.dispose()


def _without(held: Any, gone: Callable[[str], bool]) -> Any:  # noqa: ANN401 - JSON
    """JSON with an empty string where a text is gone."""
    if isinstance(held, str):
        return "" if gone(held) else held
    if isinstance(held, list):
        return [_without(one, gone) for one in held]
    return {name: _without(one, gone) for name, one in held.items()} if isinstance(held, dict) else held


def _engine(url: URL) -> Engine:
    sqlite = url.get_backend_name() == "sqlite"
    if sqlite and url.database and url.database != ":memory:":
        file = Path(url.database)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(_PRIVATE)  # before SQLite makes it with the process's mask; its side files copy the mode
        file.chmod(_PRIVATE)
    engine = create_engine(url, json_serializer=lambda value: json.dumps(value, ensure_ascii=False))
    if sqlite:
        event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: Any, record: object) -> None:  # noqa: ANN401 - a DBAPI connection has no common type
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", f"busy_timeout={_BUSY}", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _touch(connection: Connection, name: str) -> None:
    # A write comes first, so that SQLite takes the lock (and waits for it) before anything is read.
    if not connection.execute(update(conversations).where(conversations.c.id == name).values(updated=now())).rowcount:
        connection.execute(insert(conversations).values(id=name))


def _storable(text: str) -> str:
    """Without half characters and NUL, which databases refuse, and whatever else nobody sees in a list of questions."""
    return seen(text.encode("utf-8", "replace").decode("utf-8"))


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
