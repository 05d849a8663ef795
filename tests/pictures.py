"""Pictures of printed text, drawn: notices, labels and lists in English and Chinese, each with what stands in it.

`python -m tests.pictures` prints the share of their characters that is recognized, printed and photographed, and the seconds a
picture takes.
"""

from __future__ import annotations

import io
import random
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib
from PIL import Image, ImageDraw, ImageFilter, ImageFont

_LATIN = Path(matplotlib.get_data_path()) / "fonts" / "ttf"  # DejaVu comes with it
_CJK = [
    Path("/usr/share/fonts/opentype/noto") / f"Noto{name}.ttc" for name in ("SansCJK-Regular", "SerifCJK-Regular", "SansCJK-Bold")
]
LATIN_FONTS = [_LATIN / f"{name}.ttf" for name in ("DejaVuSans", "DejaVuSerif", "DejaVuSans-Bold", "DejaVuSansMono")]
CHINESE_FONTS = [path for path in _CJK if path.is_file()]
_COLOURS = [("black", "white"), ("#222244", "#f4efe2"), ("white", "#205030"), ("#7a1010", "#ffffff"), ("#333333", "#dddddd")]

ENGLISH = """Opening hours|Monday to Friday: 9:00 to 18:30|Saturday: 10:00 to 16:00|Closed on Sundays and public holidays.
Machine wash at 30 degrees.|Do not bleach. Do not tumble dry.|Iron at low heat, inside out.|92% polyester, 8% elastane
Returns|Bring it back within 30 days with the receipt.|Earphones and gift cards cannot be returned.
Delivery charges|Standard parcel 4.90 EUR, express 12.50 EUR.|Free from 60 EUR. Islands: add 15 EUR.
Warning|Keep away from children under 3 years.|Small parts may be swallowed.
Battery: Li-ion 3.7 V, 2600 mAh|Charge with 5 V / 1 A only.|Do not open or heat above 60 degrees.
Click and collect|Order by 14:00, collect the next working day.|Bring the code AB-4471 and a photo ID.
Cash, cards and gift vouchers are accepted.|We do not take cheques.|Refunds go to the card that paid.
Repairs take 5 to 8 working days.|A quote costs 19 EUR and counts towards the repair.
Tent poles: aluminium 7001-T6|Water column 3,000 mm, weight 2.4 kg|Sleeps two. Pitch it in 6 minutes.
Staff only|Please ring the bell for help.|The lift is behind the tills.
Guarantee card|Two years from the date of purchase.|Serial number: PX-2207-81934
Winter sale from 27 December to 12 January|Up to 40% off boots and jackets.
Contact us|Phone +44 20 7946 0182, weekdays 9 to 17|Mail help@pinebeck.example
Size chart|S: chest 88 to 94 cm|M: chest 95 to 101 cm|L: chest 102 to 108 cm
Parking|The first hour is free, then 2 EUR an hour.|The gate closes at 21:00.
Ingredients: oats, honey, hazelnuts, salt.|May contain traces of milk and soya.|Best before 08/2027
How to pair the lamp|Hold the button for three seconds until it blinks blue.|Choose Ember in the list of devices.
Bicycles may be tried for 20 minutes.|Leave your driving licence at the counter.
Store in a dry place at 5 to 25 degrees.|Once opened, use within 6 months.""".split("\n")

CHINESE = """营业时间|周一至周五：9:00 至 18:30|周六：10:00 至 16:00|周日及法定节假日休息。
洗涤说明|30度以下机洗，不可漂白。|不可烘干，反面低温熨烫。|成分：聚酯纤维92%，氨纶8%
退货须知|收到商品后30天内凭小票办理。|耳机和礼品卡不予退换。
运费说明|普通快递12元，加急25元。|满199元包邮，海岛地区另加30元。
警告|请放在3岁以下儿童接触不到的地方。|内含小零件，谨防吞咽。
电池：锂离子3.7V，2600mAh|只能用5V/1A充电器充电。|请勿拆解或加热至60度以上。
到店自提|14:00前下单，次日可取。|请出示取货码AB-4471和身份证。
本店接受现金、银行卡和礼品券。|不接受支票。|退款原路返回。
维修需要5至8个工作日。|检测费50元，可抵扣维修费。
帐篷杆：铝合金7001-T6|防水指数3000毫米，重量2.4公斤|双人使用，六分钟即可搭好。
员工专用通道|如需帮助请按铃。|电梯在收银台后面。
保修卡|自购买之日起保修两年。|序列号：PX-2207-81934
冬季特卖12月27日至1月12日|靴子和外套低至六折。
联系我们|客服电话：400-820-1234，工作日9点至17点|微信公众号：松溪户外
尺码表|小号：胸围88至94厘米|中号：胸围95至101厘米|大号：胸围102至108厘米
停车须知|首小时免费，之后每小时5元。|停车场21:00关门。
配料：燕麦、蜂蜜、榛子、食盐。|可能含有微量牛奶和大豆。|保质期至2027年8月
头灯配对方法|长按按键三秒，直到蓝灯闪烁。|在设备列表中选择余烬。
自行车可试骑20分钟。|请将驾照押在柜台。
请存放在5至25度的干燥处。|开封后请在6个月内用完。""".split("\n")


def drawn(lines: Sequence[str], font: Path, size: int = 28, ink: str = "black", paper: str = "white") -> Image.Image:
    """The lines one below the other, the first one larger if there are more than two."""
    fonts = [ImageFont.truetype(font, int(size * (1.5 if i == 0 and len(lines) > 2 else 1))) for i in range(len(lines))]
    width = max(round(letters.getlength(line)) for letters, line in zip(fonts, lines, strict=True)) + 80
    heights = [round(letters.size * 1.7) for letters in fonts]
    picture = Image.new("RGB", (width, sum(heights) + 60), paper)
    draw, y = ImageDraw.Draw(picture), 30
    for line, letters, height in zip(lines, fonts, heights, strict=True):
        draw.text((40, y), line, font=letters, fill=ink)
        y += height
    return picture


def prints(texts: Sequence[str], fonts: Sequence[Path]) -> Iterator[tuple[Image.Image, str]]:
    """A picture of each text, in turn in other letters, sizes and colours, every third as a JPEG; and the text."""
    for i, text in enumerate(texts):
        lines = text.split("|")
        ink, paper = _COLOURS[i % len(_COLOURS)]
        picture = drawn(lines, fonts[i % len(fonts)], (20, 26, 34)[i % 3], ink, paper)
        yield (opened(saved(picture, "JPEG", quality=60)) if i % 3 == 2 else picture), "\n".join(lines)


def photographed(picture: Image.Image, seed: int = 1) -> Image.Image:
    """As a phone takes it: tilted, a little blurred, with noise and uneven light."""
    dice = random.Random(seed)
    picture = picture.rotate(dice.uniform(-6, 6), expand=True, fillcolor=(150, 140, 130), resample=Image.Resampling.BICUBIC)
    picture = picture.filter(ImageFilter.GaussianBlur(0.8))
    noise = Image.effect_noise(picture.size, 40).convert("RGB")
    shade = Image.linear_gradient("L").resize(picture.size).convert("RGB")
    return Image.blend(Image.blend(picture, noise, 0.2), shade, 0.2)


def saved(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


class Measured(NamedTuple):
    """Mean share of characters that are right; mean seconds a picture."""

    printed: float
    photographed: float
    seconds: float


def measure(texts: Sequence[str], fonts: Sequence[Path]) -> Measured:
    from rag.ingest.readers import image
    from rag.ingest.readers.layout import markdown

    shares: dict[bool, list[float]] = {False: [], True: []}
    began = time.monotonic()
    for picture, text in prints(texts, fonts):
        for taken in (False, True):
            read = markdown(image.seen(photographed(picture) if taken else picture))
            shares[taken].append(accuracy(read.replace("#", ""), text))
    return Measured(*map(statistics.fmean, shares.values()), (time.monotonic() - began) / (2 * len(texts)))


def accuracy(read: str, wanted: str) -> float:
    """Share of characters that are right (1 less the edit distance), white space and width of marks aside."""
    from rapidfuzz.distance import Levenshtein

    read, wanted = (_squeezed(text) for text in (read, wanted))
    return 1 - Levenshtein.distance(read, wanted) / len(wanted)


def _squeezed(text: str) -> str:
    return "".join(text.translate(str.maketrans("：，（）；！？–", ":,();!?-")).split())


if __name__ == "__main__":
    for language, texts, fonts in (("English", ENGLISH, LATIN_FONTS), ("Chinese", CHINESE, CHINESE_FONTS)):
        measure(texts[:1], fonts)  # the models are loaded, and the same picture is read once
        sys.stdout.write(f"{language}: {' '.join(f'{value:.3f}' for value in measure(texts[1:], fonts))}\n")
