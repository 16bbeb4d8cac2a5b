"""Whether a paragraph that a model wrote says only what the facts say. Pure; in doubt it is refused: nobody is harmed.

It is held against the facts that the model was given: numbers, dates, names, addresses. Beside that it must be one
plain paragraph that tells nobody what to decide. What this cannot see is a plain sentence that is not true: therefore
what is left stands beside the facts, marked as a model's, and decides nothing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

Json = Any

CHARACTERS_MAX: Final = 600
FACTS_DEPTH_MAX: Final = 60

_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories of characters that steer, hide or divide."""

_MARKUP: Final = re.compile(r"[<>`|\\{}~^]|\*\*|__|\]\(|!\[|&#?\w+;|^\s*(?:#|[-*+•]\s|>|\d+[.)]\s)|(?<!\w)\*\w|\$\$")
_ADDRESS: Final = re.compile(
    r"\w+:/{1,2}\w|//\w|\bwww\.|\b(?:mailto|tel|javascript|data|file|https?|ftp):", re.IGNORECASE
)
_ALIKE: Final = {
    **dict.fromkeys((0x2018, 0x2019, 0x201B, 0x02BC), "'"),
    **dict.fromkeys((0x201C, 0x201D, 0x201E, 0x00AB, 0x00BB), '"'),
    **dict.fromkeys((0x2010, 0x2011, 0x2012, 0x2013, 0x2014, 0x2212), "-"),
}
"""Typographic forms of quotes and dashes, which mean the same."""

_TOKEN: Final = re.compile(r"[^\s\"'(),;?!]+(?:[',]\d[^\s\"'(),;?!]*)*")
_WORD: Final = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
_NUMERAL: Final = re.compile(r"\d(?:[\d.,']*\d)?")
_MIXED: Final = re.compile(r"[a-z][\u0370-\u052f]|[\u0370-\u052f][a-z]", re.IGNORECASE)
_GROUPED: Final = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?%?")
_EITHER_WAY: Final = re.compile(r"[+-]?\d{1,3}\.\d{3}%?")
_PLAIN: Final = re.compile(r"[+-]?\d(?:[\d.,']*\d)?%?")

_DECIDING: Final = (
    "approve|accept|confirm|authori[sz]e|sign(?: it)? off|go ahead|proceed|allow|grant|release (?:it|this|the)|permit"
    "|agree|click|press|resolve|choose|select|pick|retry|re-?run|skip|abort|reject|decline|refuse|deny|cancel"
    "|raise the|ignore|trust|disregard|forget|override|use(?! of)|take|visit|pay|let|try|do|don't|make sure|continue"
    "|decide|opt|send|transfer|wire|contact|forward"
)
_WHO: Final = r"\b(?:you|we|they|one|reviewers?|approvers?|person)\s+(?:\w+\s+)?"
_MUST: Final = (
    r"(?:should|must|shall|ought|need|needs|may want|might want|had better|has to|have to|can safely|may safely"
    r"|are advised|is advised)\b"
)
_PASSIVE: Final = (
    r"\b(?:should|must|shall|ought to|needs? to|has to|have to|can|may)\s+(?:\w+ly\s+|now\s+|therefore\s+)?be\s+"
    r"(?:\w+ly\s+)?(?:approved|accepted|confirmed|allowed|granted|released|retried|skipped|rejected|aborted|ignored"
    r"|trusted|paid|resolved)\b"
)
_ADVICE: Final = (
    r"\b(?:i|we)\s+(?:\w+\s+)?(?:recommend|suggest|advise|propose|urge|ask|believe)\b"
    r"|\b(?:recommend(?:ed|ation|s)?|advisable|advised|suggest(?:ed|ion|s)?|urged?|best (?:option|choice|course)|safest"
    r"|right (?:decision|choice|answer)|no (?:need|reason|risk)|nothing (?:speaks )?against|safe to|fine to"
    r"|ok(?:ay)? to|good to go)\b"
    r"|\b(?:to|and)\s+approve\s+(?:this|it|now|the|at once|immediately)\b"
    r"|\bapproval is (?:\w+\s+)?(?:needed|required|due|given|granted|right|appropriate|justified)\b"
)
_URGING: Final = (
    r"\bfeel free\b|\bgo (?:right |straight )?ahead\b|\byes (?:is|would)\b"
    r"|\b(?:say|answer|reply|vote|hit|press|tick)\s+(?:with\s+)?(?:a\s+)?(?:yes|no|ok(?:ay)?|approve|reject)\b"
    r"|\b(?:approv|reject|refus|declin|accept|confirm|retry|skipp)ing\s+(?:it|this|now|would|will|is|can)\b"
    r"|\b(?:approval|rejection|refusal)\s+(?:now\b|would\b|will\b|can\b|seems\b|looks\b)|\byour (?:approval|consent)\b"
    r"|\b(?:would|will) be (?:wise|wrong|right|best|better|sensible|prudent|unwise)\b"
    r"|\bthe only (?:sensible|reasonable|logical|right|prudent)\b"
)
_ASSURING: Final = frozenset(
    ("approved", "authorised", "authorized", "verified", "confirmed", "vetted", "cleared", "legitimate", "genuine")
)
"""Words that say that somebody has already looked: they are a fact's, or nobody's."""

_IMPERATIVE: Final = re.compile(
    rf"(?:^|[.!?:;]\s*|\s-\s|\b(?:please|kindly|just|simply|so|therefore|then|now)\s+)(?:{_DECIDING})\b"
    rf"|{_WHO}{_MUST}|{_PASSIVE}|{_ADVICE}|{_URGING}",
    re.IGNORECASE,
)

_UNITS: Final = {
    "zero": 0, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "seventeen": 17,
    "eighteen": 18, "nineteen": 19, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70,
    "eighty": 80, "ninety": 90, "hundred": 100, "hundreds": 100, "thousand": 1000, "thousands": 1000,
    "million": 1_000_000, "millions": 1_000_000, "billion": 10**9, "dozen": 12, "dozens": 12, "twice": 2, "thrice": 3,
    "double": 2, "triple": 3, "both": 2, "half": Decimal("0.5"), "quarter": Decimal("0.25"),
    "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "ninth": 9, "tenth": 10,
}  # fmt: skip
"""Words for numbers. `one`, `once`, `first` and `second` mostly mean something else and are let pass."""

_MONTHS: Final = {
    name: number
    for number, names in enumerate(
        (
            ("january", "jan"), ("february", "feb"), ("march", "mar"), ("april", "apr"), ("may",), ("june", "jun"),
            ("july", "jul"), ("august", "aug"), ("september", "sep", "sept"), ("october", "oct"), ("november", "nov"),
            ("december", "dec"),
        ),
        start=1,
    )
    for name in names
}  # fmt: skip
_MONTH: Final = "|".join(sorted(_MONTHS, key=len, reverse=True))
_ISO: Final = re.compile(r"(?<!\d)(\d{4})-(\d{2})-(\d{2})(?!\d)")
_SLASHED: Final = re.compile(r"(?<![\d.])(\d{1,2})[./](\d{1,2})[./](\d{4}|\d{2})(?!\d)")
_DAY_FIRST: Final = re.compile(
    rf"(?<!\d)(\d{{1,2}})(?:st|nd|rd|th)?\.?\s+(?:of\s+)?({_MONTH})\b\.?,?(?:\s+(\d{{4}})(?!\d))?", re.IGNORECASE
)
_MONTH_FIRST: Final = re.compile(
    rf"\b({_MONTH})\b\.?\s+(\d{{1,2}})(?:st|nd|rd|th)?(?!\d)(?:,?\s+(\d{{4}})(?!\d))?", re.IGNORECASE
)
_MONTH_YEAR: Final = re.compile(rf"\b({_MONTH})\b\.?,?\s+(?:of\s+)?(\d{{4}})(?!\d)", re.IGNORECASE)
_LONG_MONTHS: Final = frozenset(name for name in _MONTHS if len(name) > len("may") and name not in {"march", "sept"})
_RELATIVE: Final = re.compile(
    r"\b(?:(?:mon|tues|wednes|thurs|fri|satur|sun)days?|yesterday|today|tonight|tomorrow"
    r"|(?:last|next|this) (?:night|week|month|quarter|year|morning|afternoon|evening))\b",
    re.IGNORECASE,
)
_TIME: Final = re.compile(r"\d{1,2}:\d{2}(?::\d{2})?(?:\.\d+)?Z?")

_KINDS: Final = r"agents?|steps?|contracts?|process(?:es)?|process type|escalation|model"
_NAMED: Final = re.compile(rf"\b(?:{_KINDS})\s+(?:(?:called|named)\s+)?([\w.\[\]#!-]+)", re.IGNORECASE)
_OF_KIND: Final = re.compile(rf"([\w.\[\]#!-]+)\s+(?:{_KINDS})\b", re.IGNORECASE)
_FUNCTION_WORDS: Final = """
a an the this that these those it its is was were are be been being has have had do does did will would can could may
might must shall should cannot not no nor and or but if so as at by for from in into of on onto over to under up with
within without after before until since while when where which who whose what why how than then there here again also
already still yet only just even both either neither because about against between during through itself gave gives
came comes says said told tells took takes kept keeps broke breaks ran runs stood stands got gets went goes waits wants
needs fails ends asks answers returns calls expects demands serves type types that's it's isn't wasn't didn't doesn't
hasn't couldn't
"""
_FUNCTION: Final = frozenset(_FUNCTION_WORDS.split())
"""Words that follow `step` or `agent` without being its name."""


@dataclass(frozen=True, kw_only=True)
class _Facts:
    """What facts say, taken apart: words and tokens in lower case, numbers, dates as (year, month, day)."""

    tokens: frozenset[str]
    words: frozenset[str]
    numbers: frozenset[Decimal]
    dates: frozenset[tuple[int, int, int]]


def invented(paragraph: str, facts: Json, *, names: Collection[str] = ()) -> str | None:
    """Why a paragraph may not be shown, in words that repeat at most one token of it; None where it may.

    `names` are those of every agent, contract and step that there is: to use one that the facts do not name is refused
    even where it is a plain word.
    """
    form = _form(paragraph)
    if form is not None:
        return form
    text = _alike(paragraph)
    if _MIXED.search(text):
        return "a word of it mixes alphabets"
    if _IMPERATIVE.search(text):
        return "it tells the reader what to decide"
    known = _taken_apart(facts)
    text, date = _without_dates(text, known)
    if date is not None:
        return f"no fact says the date `{date}`"
    checks = (_unknown_token(text, known), _unknown_number(text, known), _unknown_name(text, known, names))
    return next((each for each in checks if each is not None), None)


def _alike(text: str) -> str:
    """A text in the form in which it is compared."""
    return unicodedata.normalize("NFKC", text).translate(_ALIKE)


def _form(paragraph: str) -> str | None:
    if not paragraph.strip():
        return "it is empty"
    if len(paragraph) > CHARACTERS_MAX:
        return f"it has {len(paragraph)} characters; {CHARACTERS_MAX} are allowed"
    hidden = next((each for each in paragraph if unicodedata.category(each) in _HIDDEN), None)
    if hidden is not None:
        return f"it holds the control character U+{ord(hidden):04X}"
    text = _alike(paragraph)
    if _ADDRESS.search(text):
        return "it holds an address"
    return "it holds markup" if _MARKUP.search(text) else None


# --- what the facts say ----------------------------------------------------------------------------------------------


def _taken_apart(facts: Json) -> _Facts:
    texts, numbers = _leaves(facts)
    joined = [_alike(text) for text in texts]
    tokens: set[str] = set()
    words: set[str] = set()
    dates: set[tuple[int, int, int]] = set()
    for text in joined:
        dates.update(date for _, found in _dates_in(text) for date in found if 0 not in date)
        words.update(_singular(word.casefold()) for word in _WORD.findall(text))
        for token in _TOKEN.findall(text):
            bare = _bare(token)
            tokens.update({bare, *(_bare(token[date.end() :]) for date in _ISO.finditer(token))})
            tokens.update(_TIME.findall(token))
            tokens.update(time[:5] for time in _TIME.findall(token))
            tokens.update(bare.split("@") if bare.count("@") == 1 and not bare.startswith("@") else ())
            if _PLAIN.fullmatch(bare):
                numbers.extend(_readings(bare))
            tokens.update(part for part in re.split(r"[/=:]", bare) if part)
    return _Facts(tokens=frozenset(tokens), words=frozenset(words), numbers=frozenset(numbers), dates=frozenset(dates))


def _leaves(value: Json) -> tuple[list[str], list[Decimal]]:
    """Every text, property names too, and every number of a JSON value."""
    texts: list[str] = []
    numbers: list[Decimal] = []
    stack: list[tuple[Json, int]] = [(value, 0)]
    while stack:
        at, depth = stack.pop()
        if isinstance(at, str):
            texts.append(at)
        elif isinstance(at, bool) or at is None or depth > FACTS_DEPTH_MAX:
            continue
        elif isinstance(at, (int, float)):
            numbers.append(Decimal(str(at)))
            texts.append(str(at))
        elif isinstance(at, dict):
            texts.extend(str(key) for key in at)
            stack.extend((each, depth + 1) for each in at.values())
        elif isinstance(at, list):
            stack.extend((each, depth + 1) for each in at)
    return texts, numbers


def _bare(token: str) -> str:
    """A token as it is compared: without the punctuation around it, in lower case."""
    return token.strip(".,:;!?-*/+=").casefold()


def _singular(word: str) -> str:
    return word.removesuffix("'s")


def _readings(numeral: str) -> Iterator[Decimal]:
    """A number as written, with a point or with a comma before its decimals."""
    plain = re.sub(r"[%'+]", "", numeral)
    for thousands, point in ((",", "."), (".", ",")):
        if not re.fullmatch(rf"-?\d+(?:\{thousands}\d{{3}})*(?:\{point}\d+)?", plain):
            continue
        try:
            yield Decimal(plain.replace(thousands, "").replace(point, "."))
        except InvalidOperation:
            continue


# --- what the paragraph says -----------------------------------------------------------------------------------------


def _dates_in(text: str) -> Iterator[tuple[re.Match[str], tuple[tuple[int, int, int], ...]]]:
    """Every date in a text, with all that it can mean as (year, month, day); 0: not said."""
    for found in _ISO.finditer(text):
        yield found, ((int(found[1]), int(found[2]), int(found[3])),)
    for found in _SLASHED.finditer(text):
        one, other, year = int(found[1]), int(found[2]), int(found[3])
        year += 2000 if len(found[3]) == 2 else 0
        yield found, ((year, other, one), (year, one, other))
    for found in _DAY_FIRST.finditer(text):
        yield found, ((int(found[3] or 0), _MONTHS[found[2].casefold()], int(found[1])),)
    for found in _MONTH_FIRST.finditer(text):
        yield found, ((int(found[3] or 0), _MONTHS[found[1].casefold()], int(found[2])),)
    for found in _MONTH_YEAR.finditer(text):
        yield found, ((int(found[2]), _MONTHS[found[1].casefold()], 0),)


def _without_dates(text: str, known: _Facts) -> tuple[str, str | None]:
    """The text without the dates that facts say, and the first that none says."""
    for relative in _RELATIVE.finditer(text):
        if not set(relative[0].casefold().split()) <= known.words:
            return text, relative[0]
    spans: list[tuple[int, int]] = []
    for found, meanings in _dates_in(text):
        said = any(
            all(not part or part == whole for part, whole in zip(meaning, date, strict=True))
            for meaning in meanings
            for date in known.dates
        )
        if not said and not any(start <= found.start() and found.end() <= end for start, end in spans):
            return text, found[0]
        spans.append(found.span())
    for start, end in sorted(spans, reverse=True):
        text = f"{text[:start]} {text[end:]}" if text[start:end].strip() else text
    for word in _WORD.findall(text):
        month = _MONTHS.get(word.casefold())
        if month and word.casefold() in _LONG_MONTHS and all(date[1] != month for date in known.dates):
            return text, word
    return text, None


def _unknown_token(text: str, known: _Facts) -> str | None:
    """The first id, mail address, dotted or underscored name that no fact holds."""
    for token in _TOKEN.findall(text):
        bare = _bare(token)
        if "@" in bare and bare not in known.tokens:
            return f"no fact holds `{bare}`"
        odd = any(mark in bare for mark in "_[]#=") or re.search(r"\w\.\w", bare) is not None
        mixed = any(each.isdigit() for each in bare) and not _PLAIN.fullmatch(bare)
        if not (odd or mixed) or bare in known.tokens or _PLAIN.fullmatch(bare):
            continue
        if _singular(bare) in known.tokens:
            continue
        parts = [part for part in re.split(r"[-/:]", bare) if part]
        if not odd and parts and all(_part_known(part, known) for part in parts) and not _idlike(bare):
            continue
        return f"no fact holds `{bare}`"
    return None


def _idlike(bare: str) -> bool:
    """Letters and digits run together, or joined as ids are."""
    return re.fullmatch(r"[a-z]+[-_]?\d[\w-]*", bare) is not None


def _part_known(part: str, known: _Facts) -> bool:
    if _PLAIN.fullmatch(part):
        return _said(part, known)
    measured = re.fullmatch(r"(\d[\d.,]*)(ms|s|m|min|h|usd|eur|kb|mb|gb|st|nd|rd|th|x|%)", part)
    if measured is not None:
        return _said(measured[1], known)
    return part.isalpha() or part in known.tokens


def _said(numeral: str, known: _Facts) -> bool:
    """Whether facts say a number as its reader takes it: `120,000` is no 120, though a German might have meant that."""
    readings = tuple(_readings(numeral))
    if _GROUPED.fullmatch(numeral):
        return readings[0] in known.numbers
    holding = all if _EITHER_WAY.fullmatch(numeral) else any
    return bool(readings) and holding(each in known.numbers for each in readings)


def _unknown_number(text: str, known: _Facts) -> str | None:
    for token in _TOKEN.findall(text):
        bare = _bare(token)
        if bare in known.tokens or not any(each.isdigit() for each in bare):
            continue
        for numeral in _NUMERAL.findall(bare):
            if not _said(numeral, known):
                return f"no fact says the number `{numeral}`"
    for word in re.findall(r"[^\W\d_]+", text):
        value = _UNITS.get(word.casefold())
        if value is not None and word.casefold() not in known.words and Decimal(value) not in known.numbers:
            return f"no fact says the number `{word}`"
    return None


def _unknown_name(text: str, known: _Facts, names: Collection[str]) -> str | None:
    def there(name: str) -> bool:
        return name in known.tokens or _singular(name) in known.words

    others = {name.casefold() for name in names}
    for name in _after_kind(text):
        if not there(name) and (name in others or not (name in _FUNCTION or name.endswith("ed"))):
            return f"no fact names `{name}`"
    for found in _OF_KIND.finditer(text):
        name = _bare(found[1])
        if name in others and not there(name):
            return f"no fact names `{name}`"
    assuring = next((each for each in _WORD.findall(text) if each.casefold() in _ASSURING - known.words), None)
    if assuring is not None:
        return f"no fact says `{assuring}`"
    for sentence in re.split(r"(?<=[.!?:])\s+", text):
        for word in _WORD.findall(sentence)[1:]:
            said = _singular(word.casefold())
            if word[0].isupper() and len(word) > 1 and said not in known.words and said not in _MONTHS:
                return f"no fact names `{word}`"
    return None


def _after_kind(text: str) -> Iterable[str]:
    return (_bare(found[1]) for found in _NAMED.finditer(text) if _bare(found[1]))
