"""Deadlines in plain words, English and German: how long from now, as a task asks for it. Pure; now is given.

A day without a time ends at midnight; a time without a day is the next one. What may as well be a fact of the data
("due by Friday", "changes since Monday") is none.
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from typing import Final, NamedTuple

from process_orchestrator.checking.tasks.clauses import Clause, about_another, asked, tells

MS: Final = 1000
PAST: Final = 0
"""Of a moment that is over already."""

_UNITS: Final = {
    "s": 1, "sec": 1, "secs": 1, "second": 1, "seconds": 1, "sekunde": 1, "sekunden": 1,
    "min": 60, "mins": 60, "minute": 60, "minutes": 60, "minuten": 60,
    "h": 3600, "hr": 3600, "hrs": 3600, "hour": 3600, "hours": 3600, "stunde": 3600, "stunden": 3600, "std": 3600,
    "day": 86_400, "days": 86_400, "tag": 86_400, "tage": 86_400, "tagen": 86_400, "tages": 86_400,
    "week": 604_800, "weeks": 604_800, "woche": 604_800, "wochen": 604_800,
}  # fmt: skip
_NUMBERS: Final = {
    "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "fifteen": 15, "twenty": 20, "thirty": 30, "half a": 0.5, "half an": 0.5,
    "ein": 1, "eine": 1, "einer": 1, "einem": 1, "eines": 1, "zwei": 2, "drei": 3, "vier": 4, "fünf": 5, "sechs": 6,
    "sieben": 7, "acht": 8, "neun": 9, "zehn": 10, "zwölf": 12, "fünfzehn": 15, "zwanzig": 20, "dreißig": 30,
    "halben": 0.5, "einer halben": 0.5, "eine halbe": 0.5,
}  # fmt: skip
_WEEKDAYS: Final = {
    name: day
    for day, names in enumerate(
        ("monday montag", "tuesday dienstag", "wednesday mittwoch", "thursday donnerstag", "friday freitag",
         "saturday samstag sonnabend", "sunday sonntag")
    )
    for name in names.split()
}  # fmt: skip
_MONTHS: Final = {
    name: month
    for month, names in enumerate(
        ("january januar jan", "february februar feb", "march märz mar", "april apr", "may mai", "june juni jun",
         "july juli jul", "august aug", "september sep", "october oktober oct", "november nov",
         "december dezember dec"),
        start=1,
    )
    for name in names.split()
}  # fmt: skip

_AMOUNT: Final = (
    r"(?P<number>\d{1,4}(?:[.,]\d)?|" + "|".join(sorted(_NUMBERS, key=len, reverse=True)) + r")[ -]?"
    r"(?P<unit>" + "|".join(sorted(_UNITS, key=len, reverse=True)) + r")\b"
    r"(?! (?:of|after|before|from|since|nach|vor|ab|ago|old|long)\b)"
)
_TIME: Final = (
    r"(?:(?P<hour>\d{1,2})(?::(?P<minute>\d{2}))?\s?(?P<half>[ap]\.?m\b\.?|uhr\b|h\b|o'clock\b)?"
    r"|(?P<named>noon|midnight|mittags|mitternacht))"
)
_DAY: Final = (
    r"(?:(?:this |next |on |kommenden |nächsten |diesen |am )?(?P<weekday>" + "|".join(_WEEKDAYS) + r")"
    r"|(?P<near>today|tonight|tomorrow|heute(?: abend)?|morgen(?: früh| abend)?)"
    r"|(?:the )?(?P<eod>end of (?:the )?(?:working |business )?(?:day|today)|eod|ende des tages)"
    r"|(?P<iso>\d{4}-\d{2}-\d{2})|(?P<dotted>\d{1,2}\.\s?\d{1,2}\.(?:\s?\d{4})?)"
    r"|(?P<dayfirst>\d{1,2}\.? (?:" + "|".join(_MONTHS) + r")(?:,? \d{4})?)"
    r"|(?P<monthfirst>(?:" + "|".join(_MONTHS) + r") \d{1,2}(?:st|nd|rd|th)?(?:,? \d{4})?))"
)
_JOINT: Final = r",?\s(?:at |by |um |bis |on |am )?"
_POINT: Final = rf"(?=[\w])(?:{_DAY})?(?:(?:{_JOINT})?{_TIME})?(?![\w-])"
_BY: Final = (
    r"(?:by|no later than|not later than|at the latest(?: by| on| at)?|latest by|you have until|until at the latest"
    r"|bis(?: spätestens)?(?: zum)?|spätestens(?: bis(?: zum)?| am| um)?|nicht später als)"
)
_POINTED: Final = re.compile(rf"\b{_BY} (?P<point>{_POINT})", re.IGNORECASE)
_IN: Final = (
    r"(?:within|in under|in less than|in at most|in no more than|in not more than|inside(?: of)?"
    r"|binnen|innerhalb(?: von)?|in höchstens|in maximal|in weniger als|in unter)"
)
_LASTING: Final = re.compile(rf"\b{_IN} (?:the next |der nächsten |den nächsten )?{_AMOUNT}", re.IGNORECASE)
_ALLOWED: Final = re.compile(
    r"^(?:(?:(?:it|this|that|everything|all of (?:it|this)|the (?:whole )?(?:process|run|task|thing|job|work)|es"
    r"|das|alles"
    r"|der (?:ganze )?(?:vorgang|ablauf|prozess))\s)?"
    r"(?:(?:may|must|should|can|shall) (?:not )?take (?:at most|no longer than|longer than|more than|up to"
    r"|no more than)"
    r"|take (?:at most|no longer than|no more than)|no longer than|time limit(?: is| of|:)?|deadline(?: is| of|:)?"
    r"|(?:you|du|sie) (?:have|hast|haben)(?: at most| höchstens| maximal)?|nicht länger als|zeitlimit(?: ist| von|:)?"
    r"|darf (?:höchstens|maximal|nicht länger als))) " + _AMOUNT,
    re.IGNORECASE,
)
_BARE_DEADLINE: Final = re.compile(
    rf"^(?:my |the )?(?:deadline|due date for you|frist|abgabe)(?: is| ist|:)? (?P<point>{_POINT})$", re.IGNORECASE
)
_WISHED: Final = re.compile(
    r"\b(?:(?:i|we) (?:need|want|expect|would like|must have)|(?:it|this|that|everything|all of (?:it|this)"
    r"|the (?:report|answer|result|draft|process|task))"
    r" (?:must be|has to be|needs to be|should be|is to be|must get|is needed|is due) ?(?:done|finished|ready"
    r"|complete[d]?|closed|booked|sent|written)?"
    r"|(?:ich|wir) (?:brauche|brauchen|benötige|benötigen|möchte|hätte)|(?:es|das|alles) (?:muss|soll|sollte))\b",
    re.IGNORECASE,
)
_RANGE: Final = re.compile(
    r"\b(?:since|between|seit|zwischen|starting|(?:from|von|vom|ab)\s(?:\d|the|dem|"
    + "|".join((*_WEEKDAYS, *_MONTHS))
    + r"))\b"
    r"|\b(?:commits?|changes|orders?|entries|emails?|messages|änderungen|bestellungen|einträge|nachrichten"
    r"|authored|written|signed|dated|made)$",
    re.IGNORECASE,
)


class Deadline(NamedTuple):
    """`ms` from now; PAST where the moment is over."""

    quote: str
    ms: int


def deadline_in(clause: Clause, now: datetime) -> Deadline | None:
    """The deadline that a clause sets, if it sets one. `now` carries the zone in which times are meant."""
    text = asked(clause.text)
    allowed = _ALLOWED.match(text)
    if allowed is not None:
        return Deadline(allowed[0], _duration(allowed))
    bare = _BARE_DEADLINE.match(text)
    if bare is not None:
        return _until(bare, now)
    wished = _WISHED.search(text)
    if wished is None and (about_another(text) or tells(text)):
        return None
    within = _LASTING.search(text)
    if within is not None:
        return Deadline(within[0], _duration(within))
    by = _POINTED.search(text)
    if by is None or _RANGE.search(f"{clause.before} {text[: by.start()]}".rstrip()):
        return None
    return _until(by, now)


def _duration(found: re.Match[str]) -> int:
    written = found["number"].lower().replace(",", ".")
    number = _NUMBERS.get(written)
    return round((float(written) if number is None else number) * _UNITS[found["unit"].lower()] * MS)


def _until(found: re.Match[str], now: datetime) -> Deadline | None:
    clock, days = _clock(found), _days(found, now)
    if not found["point"] or clock is None or days == ():
        return None
    day = days[0] if days is not None else None
    if day is None:
        moment = now.replace(hour=clock.hour, minute=clock.minute, second=0, microsecond=0)
        moment += timedelta(days=1) if moment <= now else timedelta()
    elif _timed(found):
        moment = datetime.combine(day, clock, tzinfo=now.tzinfo)
    else:
        moment = datetime.combine(day, time(), tzinfo=now.tzinfo) + timedelta(days=1)
    if found["weekday"] is not None and moment <= now:
        moment += timedelta(days=7)
    return Deadline(found[0], max(PAST, round((moment - now).total_seconds() * MS)))


def _timed(found: re.Match[str]) -> bool:
    return found["hour"] is not None or found["named"] is not None


def _clock(found: re.Match[str]) -> time | None:
    """The time of day; midnight where none is said, None where what is said is none."""
    if found["named"] is not None:
        return time(12) if found["named"].lower() in {"noon", "mittags"} else time(0)
    if found["hour"] is None:
        return time(0)
    if found["weekday"] is None and found["minute"] is None and found["half"] is None and not _dated(found):
        return None  # a number alone is no time
    hour, minute = int(found["hour"]), int(found["minute"] or 0)
    half = (found["half"] or "").lower().replace(".", "")
    if half in {"am", "pm"}:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half == "pm" else 0)
    return time(hour, minute) if hour < 24 and minute < 60 else None


def _dated(found: re.Match[str]) -> bool:
    return any(found[each] is not None for each in ("near", "eod", "iso", "dotted", "dayfirst", "monthfirst"))


def _days(found: re.Match[str], now: datetime) -> tuple[date, ...] | None:
    """The days that may be meant: None where none is said, none where there is no such day."""
    today = now.date()
    if found["weekday"] is not None:
        return (today + timedelta(days=(_WEEKDAYS[found["weekday"].lower()] - today.weekday()) % 7),)
    if found["near"] is not None:
        return (today + timedelta(days=1 if found["near"].lower().startswith(("tomorrow", "morgen")) else 0),)
    if found["eod"] is not None:
        return (today,)
    written = next((found[each] for each in ("iso", "dotted", "dayfirst", "monthfirst") if found[each]), None)
    return None if written is None else dates_in(written, year=today.year)


_DATES: Final = re.compile(
    r"(?P<y1>\d{4})[-/.](?P<m1>\d{1,2})[-/.](?P<d1>\d{1,2})(?!\d)"
    r"|(?P<d2>\d{1,2})\.\s?(?P<m2>\d{1,2})\.(?:\s?(?P<y2>\d{4}))?"
    r"|(?P<a3>\d{1,2})/(?P<b3>\d{1,2})/(?P<y3>\d{4})"
    r"|(?P<d4>\d{1,2})(?:\.|st|nd|rd|th)? (?:of )?(?P<m4>[a-zä]{3,9})\.?(?:,? (?P<y4>\d{4}))?"
    r"|(?P<m5>[a-zä]{3,9})\.? (?P<d5>\d{1,2})(?:st|nd|rd|th)?(?:,? (?P<y5>\d{4}))?",
    re.IGNORECASE,
)  # fmt: skip


def dates_in(text: str, *, year: int | None = None) -> tuple[date, ...]:
    """Every day that a text may name; `year` is taken where it names none. 3/4/2026 may be two days."""
    found: list[date] = []
    for each in _DATES.finditer(text):
        part = {name: value for name, value in each.groupdict().items() if value is not None}
        kind = next(iter(part))[-1]
        told = int(part.get(f"y{kind}", year or 0))
        if kind == "3":
            first, second = int(part["a3"]), int(part["b3"])
            pairs = [(first, second), (second, first)]
        else:
            month = part[f"m{kind}"]
            pairs = [(int(month) if month.isdecimal() else _MONTHS.get(month.lower(), 0), int(part[f"d{kind}"]))]
        for month_number, day in pairs:
            try:
                found.append(date(told, month_number, day))
            except ValueError:
                continue
    return tuple(dict.fromkeys(found))
