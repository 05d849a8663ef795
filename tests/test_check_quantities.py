"""Numbers, units, dates, codes and contacts, written in every way a shop or a model writes them."""

from __future__ import annotations

import pytest

from rag.answer.numerals import chinese, english
from rag.answer.quantities import unsupported

SAME = [
    ("Return it within two weeks", "return it within 14 days"),
    ("a fortnight", "14 days"),
    ("2-year warranty", "24 months"),
    ("within a year", "12 months"),
    ("半年保修", "6个月"),
    ("30 Tage 1.299,00 €", "30 Tage 1299 EUR"),
    ("1,299.00 EUR", "€1299"),
    ("from 49 EUR", "49"),
    ("19 %", "19 percent"),
    ("twenty-five percent", "25 %"),
    ("百分之五", "5%"),
    ("3–5 days", "3 to 5 days"),
    ("3 days", "3 to 5 days"),
    ("€20-30", "20 EUR and 30 EUR"),
    ("size 42⅔", "size 42 2/3"),
    ("１４ days", "14 days"),
    ("七天内", "7 天"),
    ("三十个工作日", "30 个工作日"),
    ("一百元", "100 元"),
    ("a hundred euros", "100 EUR"),
    ("打七折", "7折"),
    ("2万毫安时", "20000 mAh"),
    ("两万毫安时", "20000 mAh"),
    ("10 Ah", "10000 mAh"),
    ("430 兆赫", "430 MHz"),
    ("2.4 吉赫", "2400 MHz"),
    ("800 万像素", "8 megapixels"),
    ("1.5 kg", "1500 g"),
    ("12h", "12 小时"),
    ("-10 to 40 °C", "from -10 °C to 40 °C"),
    ("零下10°C", "-10 °C"),
    ("5 March 2026", "2026-03-05"),
    ("March 5", "5 March 2026"),
    ("二〇二六年十一月一日", "2026-11-01"),
    ("5月1日", "５月１日"),
    ("open until 6 pm", "10:00 to 18:00"),
    ("call +44 20 7946 0182", "+44 20 79460182"),
    ("help@Shop.example", "Mail: help@shop.example."),
    ("see www.shop.example/returns.", "https://www.shop.example/returns"),
    ("pbhl210", "PB-HL210"),
    ("1. Press\n2. Hold 5 s [1]", "hold for 5 seconds"),
    ("It is one of the best, second to none", "nothing"),
    ("一定可以，十分方便，万一", "nothing"),
    ("Ember 400", "the Ember 400 headlamp"),
    ("14:00前下单", "下午2点前下单"),
    ("晚上八点半", "20:30"),
    ("周五9:30至20:00营业", "营业时间为周一至周五9:30至20:00，周六10:00至21:00"),
    ("-18℃冷冻", "或-18℃冷冻"),
    ("45 square metres", "45平方米"),
    ("90×90 cm", "90厘米"),
]
OTHER = [
    ("30 days", "30 months"),
    ("within a year", "2 years"),
    ("within two weeks", "2 days"),
    ("30 days", "Ember 30"),
    ("5 EUR", "5 USD"),
    ("5 EUR", "5 %"),
    ("10 °C", "-10 °C"),
    ("-10 °C", "10 °C"),
    ("1,299 EUR", "1.299 EUR"),
    ("129.90 EUR", "12.99 EUR"),
    ("PB-HL210", "PB-HL211"),
    ("IP68", "IP67"),
    ("6 March 2026", "5 March 2026"),
    ("5 March 2027", "5 March 2026"),
    ("until 7 pm", "10:00 to 18:00"),
    ("+44 20 7946 0183", "+44 20 7946 0182"),
    ("help@evil.example", "help@shop.example"),
    ("https://evil.example/x", "https://www.shop.example"),
    ("七天", "十天"),
    ("三十天", "三天"),
    ("打九折", "打八折"),
    ("half an hour", "half a year"),
    ("下午4点", "下午2点"),
    ("周六11:00", "周六10:00"),
    ("90×90毫米", "90×90厘米"),
    ("20MB国内流量", "20GB国内流量"),
    ("60kg的商品", "60g的商品"),
    ("配E14灯泡", "配E27灯泡"),
    ("10 t", "a tent"),
    ("9 square metres", "9 m"),
]


@pytest.mark.parametrize(("said", "source"), SAME)
def test_the_same_quantity_is_recognised(said: str, source: str) -> None:
    assert not unsupported(said, [source])


@pytest.mark.parametrize(("said", "source"), OTHER)
def test_another_quantity_is_caught(said: str, source: str) -> None:
    assert unsupported(said, [source])


def test_a_number_in_any_source_is_supported() -> None:
    assert not unsupported("30 days and 12 h", ["30 days", "12 h"])
    assert [quantity.written for quantity in unsupported("30 days and 13 h", ["30 days", "12 h"])] == ["13"]


@pytest.mark.parametrize(
    ("numeral", "value"),
    [
        ("一千零五十", 1050),
        ("两百三", 230),
        ("两百零三", 203),
        ("十二", 12),
        ("二〇二六", 2026),
        ("三万五", 35000),
        ("一亿", 10**8),
        ("一百二十", 120),
    ],
)
def test_chinese_numerals(numeral: str, value: int) -> None:
    assert chinese(numeral) == value


@pytest.mark.parametrize(
    ("numeral", "value"),
    [("thirty-five", 35), ("a hundred and twenty", 120), ("two thousand three hundred", 2300), ("twelve", 12)],
)
def test_english_numerals(numeral: str, value: int) -> None:
    assert english(numeral) == value
