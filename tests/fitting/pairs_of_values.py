"""Pairs of a producer and a consumer with the truth, told by hand: single values, texts, numbers, lists of constants.

`A` always fits, `S` sometimes, `N` never. The truth is that of JSON Schema 2020-12 with formats asserted, whoever can
prove it. Further pairs stand in `pairs_of_objects` and `pairs_of_lists`.
"""

from __future__ import annotations

from typing import Any, Final

A, S, N = "always", "sometimes", "never"

Pair = tuple[str, Any, Any, str]

s: Final = {"type": "string"}
i: Final = {"type": "integer"}
n: Final = {"type": "number"}
b: Final = {"type": "boolean"}
z: Final = {"type": "null"}
o: Final = {"type": "object"}
a: Final = {"type": "array"}


def text(**more: Any) -> dict[str, Any]:
    return {"type": "string", **more}


def num(**more: Any) -> dict[str, Any]:
    return {"type": "number", **more}


def whole(**more: Any) -> dict[str, Any]:
    return {"type": "integer", **more}


def enum(*values: Any) -> dict[str, Any]:
    return {"enum": list(values)}


def const(value: Any) -> dict[str, Any]:
    return {"const": value}


def form(name: str) -> dict[str, Any]:
    return {"type": "string", "format": name}


def like(pattern: str) -> dict[str, Any]:
    return {"type": "string", "pattern": pattern}


def either(*types: str) -> dict[str, Any]:
    return {"type": list(types)}


TYPES: Final[list[Pair]] = [
    ("the same text", s, s, A),
    ("the same integer", i, i, A),
    ("the same boolean", b, b, A),
    ("integer into number", i, n, A),
    ("number into integer", n, i, S),
    ("text into number", s, n, N),
    ("number into text", n, s, N),
    ("integer into text", i, s, N),
    ("boolean into text", b, s, N),
    ("boolean into integer", b, i, N),
    ("integer into boolean", i, b, N),
    ("null into text", z, s, N),
    ("text into null", s, z, N),
    ("null into null", z, z, A),
    ("object into text", o, s, N),
    ("list into object", a, o, N),
    ("object into list", o, a, N),
    ("text into object", s, o, N),
    ("text into list", s, a, N),
    ("anything into text", True, s, S),
    ("anything into number", {}, n, S),
    ("text into anything", s, True, A),
    ("text into an empty schema", s, {}, A),
    ("anything into anything", {}, True, A),
    ("nullable text into text", either("string", "null"), s, S),
    ("text into nullable text", s, either("string", "null"), A),
    ("nullable into nullable, other order", either("null", "string"), either("string", "null"), A),
    ("nullable integer into nullable number", either("integer", "null"), either("number", "null"), A),
    ("nullable number into nullable integer", either("number", "null"), either("integer", "null"), S),
    ("text or number into text", either("string", "number"), s, S),
    ("text or number into boolean", either("string", "number"), b, N),
    ("integer or text into number or text", either("integer", "string"), either("number", "string"), A),
    ("text or list into list or object", either("string", "array"), either("array", "object"), S),
    ("text into number or boolean", s, either("number", "boolean"), N),
    ("all types into all types", either("string", "number", "boolean", "null", "array", "object"), True, A),
    ("text into nothing", s, False, N),
    ("text into what is no text", s, {"not": s}, N),
    ("integer into what is no text", i, {"not": s}, A),
    ("number into what is no integer", n, {"not": i}, S),
    ("title and description decide nothing", text(title="x", description="y"), s, A),
]

NUMBERS: Final[list[Pair]] = [
    ("range inside", whole(minimum=5, maximum=9), whole(minimum=0, maximum=10), A),
    ("range equal", num(minimum=0, maximum=1), num(minimum=0, maximum=1), A),
    ("range below", whole(minimum=-1, maximum=9), whole(minimum=0), S),
    ("range above", whole(minimum=0, maximum=11), whole(maximum=10), S),
    ("range apart", whole(minimum=20, maximum=30), whole(maximum=10), N),
    ("ranges that touch", whole(minimum=10, maximum=30), whole(maximum=10), S),
    ("ranges that touch at an open end", num(minimum=10), num(exclusiveMaximum=10), N),
    ("no range into range", i, whole(minimum=1), S),
    ("no range into range of numbers", n, num(minimum=0, maximum=100), S),
    ("negative into positive", num(maximum=-1), num(minimum=0), N),
    ("exclusive integer as inclusive", whole(exclusiveMinimum=0), whole(minimum=1), A),
    ("inclusive integer as exclusive", whole(minimum=1), whole(exclusiveMinimum=0), A),
    ("exclusive number as inclusive one", num(exclusiveMinimum=0), num(minimum=1), S),
    ("exclusive number into inclusive", num(exclusiveMinimum=0), num(minimum=0), A),
    ("inclusive number into exclusive", num(minimum=0), num(exclusiveMinimum=0), S),
    ("exclusive maximum of integers", whole(exclusiveMaximum=10), whole(maximum=9), A),
    ("maximum nine point five of integers", whole(maximum=9.5), whole(maximum=9), A),
    ("multiple of six into of three", whole(multipleOf=6), whole(multipleOf=3), A),
    ("multiple of three into of six", whole(multipleOf=3), whole(multipleOf=6), S),
    ("integer into multiple of one", i, num(multipleOf=1), A),
    ("number into multiple of one", n, num(multipleOf=1), S),
    ("cents into tenths of cents", num(multipleOf=0.5), num(multipleOf=0.25), A),
    ("tenths into halves", num(multipleOf=0.25), num(multipleOf=0.5), S),
    ("odd range into even", whole(minimum=1, maximum=1), whole(multipleOf=2), N),
    ("integer range into number range", whole(minimum=1, maximum=3), num(minimum=0.5, maximum=3.5), A),
    ("number range into integer", num(minimum=0, maximum=1), i, S),
    ("number range without an integer", num(minimum=0.25, maximum=0.75), i, N),
    ("constant in range", const(5), whole(minimum=1, maximum=9), A),
    ("constant out of range", const(50), whole(minimum=1, maximum=9), N),
    ("one as one point zero", const(1), const(1.0), A),
    ("one point five into integer", const(1.5), i, N),
    ("two point zero into integer", const(2.0), i, A),
    ("large limit", whole(maximum=10**12), whole(maximum=10**15), A),
    ("larger limit", whole(maximum=10**15), whole(maximum=10**12), S),
    ("percent into share", num(minimum=0, maximum=100), num(minimum=0, maximum=1), S),
    ("days into days of a month", whole(minimum=0, maximum=365), whole(minimum=1, maximum=31), S),
    ("range without its middle", whole(minimum=0, maximum=9), {"not": whole(minimum=3, maximum=5)}, S),
    ("range beside the hole", whole(minimum=6, maximum=9), {"not": whole(minimum=3, maximum=5)}, A),
    ("range in the hole", whole(minimum=4, maximum=5), {"not": whole(minimum=3, maximum=5)}, N),
    ("minimum of what is text too", {"minimum": 3}, num(minimum=3), S),
]

TEXTS: Final[list[Pair]] = [
    ("shorter into longer", text(maxLength=5), text(maxLength=10), A),
    ("longer into shorter", text(maxLength=10), text(maxLength=5), S),
    ("any length into a limit", s, text(maxLength=10), S),
    ("any length into a large limit", s, text(maxLength=500), S),
    ("perhaps empty into not empty", s, text(minLength=1), S),
    ("not empty into perhaps empty", text(minLength=1), s, A),
    ("not empty into at least three", text(minLength=1), text(minLength=3), S),
    ("at least three into not empty", text(minLength=3), text(minLength=1), A),
    ("exact length inside", text(minLength=3, maxLength=3), text(minLength=2, maxLength=4), A),
    ("lengths apart", text(maxLength=2), text(minLength=3), N),
    ("lengths that touch", text(maxLength=3), text(minLength=3), S),
    ("empty text into not empty", const(""), text(minLength=1), N),
    ("the same pattern", like("^INV-[0-9]+$"), like("^INV-[0-9]+$"), A),
    ("four digits into some digits", like("^INV-[0-9]{4}$"), like("^INV-[0-9]+$"), A),
    ("some digits into four", like("^INV-[0-9]+$"), like("^INV-[0-9]{4}$"), S),
    ("pattern into text", like("^[A-Z]{3}$"), s, A),
    ("text into pattern", s, like("^[A-Z]{3}$"), S),
    ("pattern into a length it keeps", like("^[A-Z]{3}$"), text(minLength=3, maxLength=3), A),
    ("pattern into a length it breaks", like("^[A-Z]{3}$"), text(minLength=4), N),
    ("pattern into a length it may break", like("^[A-Z]{1,5}$"), text(minLength=3), S),
    ("patterns apart", like("^V-[0-9]+$"), like("^L-[0-9]+$"), N),
    ("prefix into prefix of it", like("^INV-"), like("^INV"), A),
    ("prefix into longer prefix", like("^INV"), like("^INV-"), S),
    ("upper case into any case", like("^[A-Z]+$"), like("^[A-Za-z]+$"), A),
    ("any case into upper case", like("^[A-Za-z]+$"), like("^[A-Z]+$"), S),
    ("constant that keeps the pattern", const("INV-7"), like("^INV-[0-9]+$"), A),
    ("constant that breaks the pattern", const("INV-x"), like("^INV-[0-9]+$"), N),
    ("constants that keep the pattern", enum("INV-1", "INV-22"), like("^INV-[0-9]+$"), A),
    ("constants of which one breaks the pattern", enum("INV-1", "22"), like("^INV-[0-9]+$"), S),
    ("text with a hole", s, {"not": const("")}, S),
    ("not empty beside the hole", text(minLength=1), {"not": const("")}, A),
    ("pattern and length", text(pattern="^[a-z]+$", maxLength=40), text(pattern="^[a-z]+$", maxLength=40), A),
    ("pattern and shorter length", text(pattern="^[a-z]+$", maxLength=40), text(pattern="^[a-z]+$", maxLength=20), S),
    ("identifier into slug", like("^[a-z_]+$"), like("^[a-z-]+$"), S),
    ("spaces only into no spaces", like("^ +$"), like("^[^ ]+$"), N),
]

FORMATS: Final[list[Pair]] = [
    ("the same date", form("date"), form("date"), A),
    ("date into text", form("date"), s, A),
    ("text into date", s, form("date"), S),
    ("text into date and time", s, form("date-time"), S),
    ("text into email", s, form("email"), S),
    ("text into uri", s, form("uri"), S),
    ("text into uuid", s, form("uuid"), S),
    ("text into ipv4", s, form("ipv4"), S),
    ("not empty text into date", text(minLength=1), form("date"), S),
    ("short text into date", text(maxLength=5), form("date"), N),
    ("date into email", form("date"), form("email"), N),
    ("date into date and time", form("date"), form("date-time"), N),
    ("date and time into date", form("date-time"), form("date"), N),
    ("uuid into uuid", form("uuid"), form("uuid"), A),
    ("uuid into text of 36", form("uuid"), text(minLength=36, maxLength=36), A),
    ("email into text that may be short", form("email"), text(minLength=1), A),
    ("date into ten characters", form("date"), text(minLength=10, maxLength=10), A),
    ("date into nine characters", form("date"), text(maxLength=9), N),
    ("a date as constant", const("2026-11-22"), form("date"), A),
    ("no date as constant", const("22.11.2026"), form("date"), N),
    ("a day that there is not", const("2026-02-30"), form("date"), N),
    ("constants of which one is a date", enum("2026-11-22", "soon"), form("date"), S),
    ("constants that are dates", enum("2026-11-22", "2026-01-31"), form("date"), A),
    ("date or nothing into date", {"anyOf": [form("date"), z]}, form("date"), S),
    ("date into date or nothing", form("date"), {"anyOf": [form("date"), z]}, A),
    ("number into date", n, form("date"), N),
    ("digits into date", like("^[0-9]{4}-[0-9]{2}-[0-9]{2}$"), form("date"), S),
    ("uri into text", form("uri"), s, A),
    ("date or email into date", {"anyOf": [form("date"), form("email")]}, form("date"), S),
    ("time into date and time", form("time"), form("date-time"), N),
]

ENUMS: Final[list[Pair]] = [
    ("fewer into more", enum("a", "b"), enum("a", "b", "c"), A),
    ("more into fewer", enum("a", "b", "z"), enum("a", "b", "c"), S),
    ("other constants", enum("x", "y"), enum("a", "b"), N),
    ("the same in another order", enum("b", "a"), enum("a", "b"), A),
    ("constants into text", enum("a", "b"), s, A),
    ("mixed constants into text", enum("a", 1), s, S),
    ("numbers into text", enum(1, 2), s, N),
    ("text into constants", s, enum("a", "b"), S),
    ("text of one letter into constants", text(minLength=1, maxLength=1), enum("a", "b"), S),
    ("constant into constants", const("a"), enum("a", "b"), A),
    ("constant not among them", const("q"), enum("a", "b"), N),
    ("constant in other letters", const("A"), enum("a", "b"), N),
    ("boolean as constants", b, enum(True, False), A),
    ("boolean into true", b, const(True), S),
    ("true into boolean", const(True), b, A),
    ("true into false", const(True), const(False), N),
    ("null among constants into text", enum("a", None), s, S),
    ("null among constants into nullable", enum("a", None), either("string", "null"), A),
    ("whole numbers into range", enum(1, 2, 3), whole(minimum=1, maximum=3), A),
    ("whole numbers out of range", enum(1, 2, 30), whole(minimum=1, maximum=3), S),
    ("range into constants", whole(minimum=1, maximum=3), enum(1, 2, 3), A),
    ("wider range into constants", whole(minimum=1, maximum=4), enum(1, 2, 3), S),
    ("range beside constants", whole(minimum=7, maximum=9), enum(1, 2, 3), N),
    ("status words of two systems", enum("open", "closed", "void"), enum("OPEN", "CLOSED", "VOID"), N),
    ("status words that overlap", enum("open", "closed", "void"), enum("open", "closed", "paid"), S),
    ("object constants", const({"k": 1}), {"type": "object", "required": ["k"]}, A),
    ("object constant that lacks", const({"j": 1}), {"type": "object", "required": ["k"]}, N),
    ("list constant into list", const([1, 2]), {"type": "array", "items": i}, A),
    ("list constant with a text", const([1, "2"]), {"type": "array", "items": i}, N),
    ("some list constants", enum([1], ["x"]), {"type": "array", "items": i}, S),
    ("constants without one", enum("a", "b", "c"), {"not": const("c")}, S),
    ("constants beside the one", enum("a", "b"), {"not": const("c")}, A),
    ("zero and false are not the same", const(0), const(False), N),
    ("one among true", {"type": "array", "items": const(1)}, {"type": "array", "items": const(True)}, S),
    ("true among one", {"type": "array", "items": const(True)}, {"type": "array", "items": const(1)}, S),
    ("flags as numbers", {"type": "array", "items": enum(0, 1)}, {"type": "array", "items": enum(False, True)}, S),
    ("text of a number", const("1"), const(1), N),
    ("currency into three letters", enum("EUR", "USD"), like("^[A-Z]{3}$"), A),
    ("currency in small letters", enum("eur", "usd"), like("^[A-Z]{3}$"), N),
]

VALUES: Final = {"types": TYPES, "numbers": NUMBERS, "texts": TEXTS, "formats": FORMATS, "enums": ENUMS}
