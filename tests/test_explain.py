from __future__ import annotations

from datetime import date

from rag.retrieve.explain import trace_table
from rag.retrieve.features import FEATURES, OWN
from rag.retrieve.trace import Considered, Trace
from rag.types import Chunk, Kind, Passage, Query


def test_the_bonus_is_what_no_comparison_of_texts_gave() -> None:
    chunk = Chunk("d#0", "d", "", 0, Kind.PAGE, "Lamp", (), "It shines.")
    parts = dict.fromkeys(FEATURES, 1.0)
    one = Considered(Passage(chunk, 9.0, {"dense": 0.5}), parts, parts)
    query = Query("lamp", "lamp", "en")
    table = trace_table(Trace(query, {"text": "lamp"}, {}, date(2026, 6, 1), (one,)))
    cells = {str(column.header): list(column.cells) for column in table.columns}
    assert cells["bonus"] == [f"{len(OWN) - len(('against', 'title')):.3f}"]
    assert cells["dense"] == ["0.500"] and cells["score"] == ["9.000"]
