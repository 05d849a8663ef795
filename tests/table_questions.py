"""Questions over the documents of table_set, in shoppers' words: the one value that answers each, and those of other rows."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Question:
    """`value` and `others` as "number unit" or as words; `units` are the spellings of which the answer has one."""

    text: str
    value: str
    others: tuple[str, ...] = ()
    units: tuple[str, ...] = ()

    def is_right(self, answer: str) -> bool:
        """Whether the answer says the value, its unit, and no other row's value."""
        said = _said(answer)
        has_unit = not self.units or any(unit in said for unit in self.units)
        return _holds(said, self.value) and has_unit and not any(_holds(said, other) for other in self.others)


def _said(text: str) -> str:
    return re.sub(r"\[\d+\]", "", text).casefold().replace(",", ".")


def _holds(said: str, value: str) -> bool:
    """Numbers whole, and with or without closing zeros; words anywhere."""
    if re.fullmatch(r"\d+(\.\d+)?", value):
        return float(value) in {float(number) for number in re.findall(r"\d+(?:\.\d+)?", said)}
    return value.casefold() in said


GRAMS = ("g", "克")
YUAN = ("元", "cny", "¥")

QUESTIONS = (
    Question("How heavy is the Kestrel tent?", "1450", ("2180", "2900", "1980"), GRAMS),
    Question("What does the Plover cost in pounds?", "255", ("299", "269", "429"), ("gbp", "£", "pound")),
    Question("How many people fit in the Dunlin?", "4", ("2", "3")),
    Question("Is the Siskin a 3-season or a 4-season tent?", "4-season", ("3-season",)),
    Question("What does it cost to ship an 8 kg parcel to the Outer Isles?", "14.5", ("7.9", "11.9", "6.9"), ("eur", "€")),
    Question("How long does delivery to the highlands take?", "3-4", ("5-7", "2-3"), ("day",)),
    Question("How much extra is evening delivery?", "6.9", ("12.5", "4.2"), ("eur", "€")),
    Question("How fast does the Cinder boil a litre of water?", "3.5", ("4.2", "5.8"), ("min",)),
    Question("What's the price of the Hob kettle?", "34.5", ("79.9", "54", "129"), ("eur", "€")),
    Question("How many litres does the Heron backpack hold in size L?", "58", ("55", "38", "36"), ("l",)),
    Question("What is the back length of the Wren in medium?", "46", ("51", "43", "56"), ("cm",)),
    Question("How long is the warranty on zips?", "2 years", ("5 years", "1 year")),
    Question("Who pays the postage when a tent pole breaks?", "shop", ("customer",)),
    Question("How many hours does the Fjord 30 keep ice?", "72", ("48", "120"), ("h",)),
    Question("What is the weight of the Larch bottle?", "310", ("265", "420"), GRAMS),
    Question("What breaking load does the Tarn rope have?", "22", ("18", "27"), ("kn",)),
    Question("余烬灯的保修几年？", "3", ("5", "2"), ("年",)),
    Question("萤石灯多少钱？", "268", ("189", "329", "459"), YUAN),
    Question("霜桥灯开低亮能用多久？", "120", ("16", "80", "60"), ("小时",)),
    Question("鹿角灯有多重？", "540", ("310", "275", "420"), GRAMS),
    Question("青瓷盖碗能装多少毫升？", "150", ("220", "800"), ("毫升", "ml")),
    Question("紫砂壶是哪里产的？", "宜溪", ("瓷林", "铁岭镇")),
    Question("42 码的鞋适合多长的脚？", "265", ("245", "255"), ("毫米", "mm")),
    Question("中国码 255 对应欧码多少？", "40", ("38", "42")),
    Question("活性炭滤芯多久换一次？", "6", ("12", "24"), ("个月",)),
    Question("反渗透膜多少钱一支？", "320", ("45", "68"), YUAN),
    Question("云杉杯可以保温几个小时？", "12", ("8", "24"), ("小时",)),
    Question("松果杯有哪些颜色？", "墨绿", ("雾蓝", "炭黑")),
    Question("小满充电宝的容量有多大？", "20000", ("10000", "30000"), ("毫安", "mah")),
    Question("谷雨充电宝充满电要多久？", "2.5", ("4", "6.5"), ("小时",)),
)


# Of the same documents, written after the answers to the first thirty had been looked at and before these were asked.
MORE = (
    Question("What is the weight of the Dunlin?", "2900", ("1450", "2180", "1980"), GRAMS),
    Question("How much is the Siskin in euros?", "499", ("429", "349", "319"), ("eur", "€")),
    Question("How many people can sleep in the Plover?", "3", ("2", "4")),
    Question("What's the shipping price to the Highlands for 1.5 kg?", "6.9", ("11.9", "4.9", "9.5"), ("eur", "€")),
    Question("Until what time do you deliver on Saturdays?", "14:00", ("21:00",)),
    Question("How heavy is the Brazier stove?", "710", ("390", "265", "180"), GRAMS),
    Question("Which fuel does the Brazier burn?", "wood", ("gas",)),
    Question("What does a return label cost from the Outer Isles?", "5.5", ("3.9", "9.5", "14.5"), ("eur", "€")),
    Question("How heavy is the Wren in size S?", "1.1", ("1.2", "1.9"), ("kg",)),
    Question("How long is the warranty on the fabric?", "5 years", ("2 years", "1 year")),
    Question("What does the Fjord 50 cost?", "199", ("119", "149"), ("eur", "€")),
    Question("What is the Alder made of?", "titanium", ("steel", "glass")),
    Question("How thick is the Mere rope?", "10.4", ("8.9", "9.6"), ("mm",)),
    Question("余烬灯开高亮能用几个小时？", "12", ("60", "10", "16"), ("小时",)),
    Question("霜桥灯多少钱？", "329", ("189", "268", "459"), YUAN),
    Question("铸铁壶的容量多大？", "800", ("150", "220"), ("毫升", "ml")),
    Question("欧码 38 对应的中国码是多少？", "245", ("255", "265")),
    Question("硬水地区 PP 棉滤芯多久换一次？", "9", ("12", "18"), ("个月",)),
    Question("雪松壶是什么颜色？", "炭黑", ("雾蓝", "墨绿")),
    Question("白露充电宝有多重？", "590", ("210", "380"), GRAMS),
)
