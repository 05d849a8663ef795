"""A notice on a picture and a scanned page, among other documents: asked by the real models, they are the source."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from fpdf import FPDF
from pictures import CHINESE_FONTS, LATIN_FONTS, drawn, photographed, saved

from rag.answer.flow import collect
from rag.assistant import Assistant
from rag.build import run_ingest
from rag.fakes import ScriptedGenerator
from rag.settings import load
from rag.types import Outcome

pytestmark = [pytest.mark.model, pytest.mark.slow, pytest.mark.timeout(600)]
HOURS = ("Opening hours", "Monday to Friday: 9:00 to 18:30", "Saturday: 10:00 to 16:00", "Closed on Sundays.")
PARKING = ("Parking at the shop", "The first two hours of parking are free.", "After that an hour costs 3 EUR.")
needs_chinese = pytest.mark.skipif(not CHINESE_FONTS, reason="no Chinese font (apt-get install fonts-noto-cjk)")
RETURNS = ("退货须知", "收到商品后30天内凭小票办理退货。", "耳机和礼品卡不予退换。")


@pytest.fixture(scope="module")
def assistant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Assistant]:
    corpus = tmp_path_factory.mktemp("shop")
    (corpus / "delivery.md").write_text("# Delivery\n\nParcels leave the house within two days. Express costs 12.50 EUR.\n")
    (corpus / "door.jpg").write_bytes(saved(photographed(drawn(HOURS, LATIN_FONTS[0])), "JPEG", quality=70))
    (corpus / "sky.png").write_bytes(saved(photographed(drawn([" "], LATIN_FONTS[0], 200))))
    pdf = FPDF()
    pdf.add_page()
    pdf.image(io.BytesIO(saved(drawn(PARKING, LATIN_FONTS[1]))), 10, 10, 180)
    (corpus / "parking.pdf").write_bytes(bytes(pdf.output()))
    if CHINESE_FONTS:
        (corpus / "returns_zh.png").write_bytes(saved(drawn(RETURNS, CHINESE_FONTS[0])))
    settings = load(corpus=corpus, home=tmp_path_factory.mktemp("home"), answer={"rungs": ("faq", "quote")})
    report = run_ingest(settings)
    assert [one.file for one in report.rejected] == ["sky.png"] and report.documents == (4 if CHINESE_FONTS else 3)
    assistant = Assistant(settings, ScriptedGenerator([]))  # the quote speaks
    yield assistant
    assistant.close()


@pytest.mark.parametrize(
    ("question", "said", "source"),
    [
        ("When are you open on Saturday?", "10:00 to 16:00", "door.jpg"),
        ("How long is parking free?", "two hours", "parking.pdf"),
        pytest.param("收到商品后几天内可以退货？", "30天", "returns_zh.png", marks=needs_chinese),
    ],
)
def test_a_picture_answers(assistant: Assistant, question: str, said: str, source: str) -> None:
    answer = collect(assistant.answer(question, ()))
    assert answer.passages[0].chunk.document == source
    assert answer.outcome is Outcome.ANSWERED and said in answer.text
    assert {citation.document for citation in answer.citations} == {source}
