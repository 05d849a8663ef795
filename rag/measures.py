"""Units of measure and money as shops write them, in English and Chinese."""

from __future__ import annotations

from decimal import Decimal

# alias -> (base unit, how many of it); a month is not 30 days and a day is not 24 hours: shops mean what they write.
UNITS: dict[str, tuple[str, Decimal]] = {}
for _names, _base, _factor in (
    ("days day 天 日 号", "day", "1"),
    ("working-days business-days 个工作日 工作日", "working day", "1"),
    ("weeks week wks 周 星期 个星期", "day", "7"),
    ("months month 个月 月", "month", "1"),
    ("years year yrs yr 年 周年", "month", "12"),
    ("hours hour hrs hr h 小时 个小时 钟头", "second", "3600"),
    ("minutes minute mins min 分钟", "second", "60"),
    ("seconds second secs sec s 秒", "second", "1"),
    ("eur euros euro € 欧元 欧", "eur", "1"),
    ("cny rmb yuan ¥ 元 块 块钱 人民币", "cny", "1"),
    ("usd dollars dollar $ 美元", "usd", "1"),
    ("gbp pounds £ 英镑", "gbp", "1"),
    ("% percent per-cent", "%", "1"),
    ("折", "tenths of the price", "1"),
    ("g grams gram 克", "g", "1"),
    ("kg kilograms kilogram kilos kilo 千克 公斤", "g", "1000"),
    ("mm 毫米", "mm", "1"),
    ("cm 厘米", "mm", "10"),
    ("m² sqm square-metres square-metre square-meters square-meter 平方米 平米 ㎡", "m²", "1"),
    ("m metres metre meters meter 米", "mm", "1000"),
    ("km kilometres kilometre kilometers kilometer 公里 千米", "mm", "1000000"),
    ("mah 毫安时 毫安", "mah", "1"),
    ("ah 安时", "mah", "1000"),
    ("wh 瓦时", "wh", "1"),
    ("kwh 千瓦时 度电", "wh", "1000"),
    ("w watts watt 瓦", "w", "1"),
    ("kw 千瓦", "w", "1000"),
    ("v volts volt 伏", "v", "1"),
    ("ml 毫升", "ml", "1"),
    ("l litres litre liters liter 升", "ml", "1000"),
    ("lm lumens lumen 流明", "lm", "1"),
    ("°c 摄氏度 ℃", "°c", "1"),
    ("°f 华氏度", "°f", "1"),
    ("db 分贝", "db", "1"),
    ("gb", "gb", "1"),
    ("mb", "mb", "1"),
    ("tb", "gb", "1000"),
    ("hz 赫兹 赫", "hz", "1"),
    ("khz 千赫兹 千赫", "hz", "1000"),
    ("mhz 兆赫兹 兆赫", "hz", "1000000"),
    ("ghz 吉赫", "hz", "1000000000"),
    ("inches inch 英寸 寸", "inch", "1"),
    ("fps", "fps", "1"),
    ("pa 帕", "pa", "1"),
    ("pixels pixel 像素", "pixel", "1"),
    ("megapixels megapixel mp 百万像素", "pixel", "1000000"),
    ("万像素", "pixel", "10000"),
):
    UNITS |= {name.replace("-", " "): (_base, Decimal(_factor)) for name in _names.split()}
