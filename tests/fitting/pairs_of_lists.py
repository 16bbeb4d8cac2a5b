"""Pairs of lists, of alternatives, of schemas put together, and of schemas that refer to themselves and each other."""

from __future__ import annotations

from typing import Any, Final

from fitting.pairs_of_objects import obj, shut
from fitting.pairs_of_values import A, N, Pair, S, a, b, const, either, enum, form, i, like, n, num, s, text, whole, z


def many(items: Any, **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, **more}


def row(*items: Any, **more: Any) -> dict[str, Any]:
    """A list of exactly these."""
    return {"type": "array", "prefixItems": list(items), "items": False, "minItems": len(items), **more}


def any_of(*schemas: Any) -> dict[str, Any]:
    return {"anyOf": list(schemas)}


def one_of(*schemas: Any) -> dict[str, Any]:
    return {"oneOf": list(schemas)}


def all_of(*schemas: Any) -> dict[str, Any]:
    return {"allOf": list(schemas)}


def tree(value: Any, **more: Any) -> dict[str, Any]:
    """Nodes with a value and further nodes."""
    node = obj({"v": value, "c": many({"$ref": "#/$defs/t"})}, "v", **more)
    return {"$defs": {"t": node}, "$ref": "#/$defs/t"}


LISTS: Final[list[Pair]] = [
    ("integers into numbers", many(i), many(n), A),
    ("numbers into integers", many(n), many(i), S),
    ("texts into numbers, perhaps none", many(s), many(n), S),
    ("texts into numbers, at least one", many(s, minItems=1), many(n), N),
    ("any list into texts", a, many(s), S),
    ("texts into any list", many(s), a, A),
    ("perhaps empty into not empty", many(i), many(i, minItems=1), S),
    ("not empty into perhaps empty", many(i, minItems=1), many(i), A),
    ("up to three into up to five", many(s, maxItems=3), many(s, maxItems=5), A),
    ("up to five into up to three", many(s, maxItems=5), many(s, maxItems=3), S),
    ("any number into up to three", many(s), many(s, maxItems=3), S),
    ("any number into up to twenty", many(i), many(i, maxItems=20), S),
    ("lengths apart", many(s, maxItems=1), many(s, minItems=2), N),
    ("repeats into no repeats", many(s), many(s, uniqueItems=True), S),
    ("no repeats into repeats", many(s, uniqueItems=True), many(s), A),
    ("one item repeats nothing", many(s, maxItems=1), many(s, uniqueItems=True), A),
    ("a row into a list of either", row(s, i), many(any_of(s, n)), A),
    ("a row into a list of texts", row(s, i), many(s), N),
    ("a row of two into a row of three", row(s, s), row(s, s, s), N),
    ("a row into a row", row(s, i), row(s, n), A),
    ("a row in the other order", row(i, s), row(s, i), N),
    ("a list into a row", many(s), row(s, s), S),
    ("a list of two into a row", many(s, minItems=2, maxItems=2), row(s, s), A),
    ("contains a number", many(i, minItems=1), {"type": "array", "contains": n}, A),
    ("perhaps contains a number", many(i), {"type": "array", "contains": n}, S),
    ("contains no text", many(i), {"type": "array", "contains": s}, N),
    ("objects with a field", many(obj({"sku": s, "qty": i}, "sku qty")), many(obj({"sku": s}, "sku")), A),
    (
        "objects without a field",
        many(shut({"sku": s}, "sku"), minItems=1),
        many(obj({"sku": s, "qty": i}, "sku qty")),
        N,
    ),
    (
        "objects with an optional field",
        many(shut({"sku": s, "qty": i}, "sku")),
        many(obj({"sku": s, "qty": i}, "sku qty")),
        S,
    ),
    ("holes in a list", many(any_of(obj({"ok": b}, "ok"), z)), many(obj({"ok": b}, "ok")), S),
    ("a list where holes are taken", many(obj({"ok": b}, "ok")), many(any_of(obj({"ok": b}, "ok"), z)), A),
    ("lists of lists", many(many(i)), many(many(n)), A),
    ("lists of lists of another type", many(many(s, minItems=1), minItems=1), many(many(n)), N),
    ("one value where a list is wanted", s, many(s), N),
    ("a list where one value is wanted", many(s), s, N),
    ("emails among texts", many(s), many(form("email")), S),
    ("tags too long", many(text(maxLength=50)), many(text(maxLength=20)), S),
    ("tags that fit", many(text(maxLength=20), maxItems=5), many(text(maxLength=50), maxItems=10), A),
    ("an empty list into a list of anything", const([]), many(s), A),
    ("an empty list into not empty", const([]), many(s, minItems=1), N),
]

UNIONS: Final[list[Pair]] = [
    ("one of two", s, any_of(s, z), A),
    ("two into one", any_of(s, z), s, S),
    ("both fit", any_of(i, const(2.5)), n, A),
    ("neither fits", any_of(s, b), n, N),
    ("the same, turned around", any_of(s, i), any_of(i, s), A),
    ("three into two", any_of(s, i, b), any_of(s, i), S),
    ("exactly one of two that overlap", i, one_of(i, whole(minimum=0)), S),
    ("exactly one of two that do not", const("a"), one_of(const("a"), const("b")), A),
    ("in both, so in neither", whole(minimum=0), one_of(i, whole(minimum=0)), N),
    ("true and false are all", b, any_of(const(True), const(False)), A),
    (
        "two ranges are one",
        whole(minimum=0, maximum=10),
        any_of(whole(minimum=0, maximum=5), whole(minimum=6, maximum=10)),
        A,
    ),
    (
        "two ranges with a gap",
        whole(minimum=0, maximum=10),
        any_of(whole(minimum=0, maximum=4), whole(minimum=6, maximum=10)),
        S,
    ),
    (
        "numbers between two ranges",
        num(minimum=0, maximum=10),
        any_of(num(minimum=0, maximum=5), num(minimum=6, maximum=10)),
        S,
    ),
    (
        "kinds told apart",
        one_of(obj({"k": const("a"), "v": s}, "k v"), obj({"k": const("b"), "w": i}, "k w")),
        one_of(obj({"k": const("a"), "v": s}, "k v"), obj({"k": const("b"), "w": n}, "k w")),
        A,
    ),
    (
        "a kind too many",
        one_of(obj({"k": const("a")}, "k"), obj({"k": const("b")}, "k"), obj({"k": const("c")}, "k")),
        one_of(obj({"k": const("a")}, "k"), obj({"k": const("b")}, "k")),
        S,
    ),
    (
        "another set of kinds",
        one_of(obj({"k": const("x")}, "k"), obj({"k": const("y")}, "k")),
        one_of(obj({"k": const("a")}, "k"), obj({"k": const("b")}, "k")),
        N,
    ),
    (
        "one kind whose field differs",
        one_of(obj({"k": const("a"), "v": s}, "k v"), obj({"k": const("b"), "w": s}, "k w")),
        one_of(obj({"k": const("a"), "v": s}, "k v"), obj({"k": const("b"), "w": i}, "k w")),
        S,
    ),
    (
        "one kind into all kinds",
        obj({"k": const("a"), "v": s}, "k v"),
        any_of(obj({"k": const("a"), "v": s}, "k v"), obj({"k": const("b")}, "k")),
        A,
    ),
    ("optional as union into optional", any_of(obj({"x": s}, "x"), shut({})), obj({"x": s}), A),
    ("text or number into constants", any_of(s, n), enum("a", 1), S),
    ("a number or a text of digits", any_of(i, like("^[0-9]+$")), i, S),
    (
        "an error or a result",
        any_of(obj({"ok": const(True), "id": s}, "ok id"), obj({"ok": const(False), "why": s}, "ok why")),
        obj({"id": s}, "id"),
        S,
    ),
    (
        "a result in either case",
        any_of(obj({"ok": const(True), "id": s}, "ok id"), obj({"ok": const(False), "id": s}, "ok id")),
        obj({"id": s}, "id"),
        A,
    ),
    (
        "exactly one of three into any of them",
        one_of(const("a"), const("b"), const("c")),
        any_of(const("a"), const("b"), const("c")),
        A,
    ),
    ("nullable objects both", any_of(obj({"x": i}, "x"), z), any_of(z, obj({"x": n}, "x")), A),
]

TOGETHER: Final[list[Pair]] = [
    ("two halves make the whole", obj({"a": s, "b": i}, "a b"), all_of(obj({"a": s}, "a"), obj({"b": n}, "b")), A),
    ("two halves, one is missing", shut({"a": s}, "a"), all_of(obj({"a": s}, "a"), obj({"b": n}, "b")), N),
    ("two halves, one is optional", shut({"a": s, "b": i}, "a"), all_of(obj({"a": s}, "a"), obj({"b": n}, "b")), S),
    ("halves into the whole", all_of(obj({"a": s}, "a"), obj({"b": i}, "b")), obj({"a": s, "b": n}, "a b"), A),
    ("ranges put together", all_of(whole(minimum=0), whole(maximum=9)), whole(minimum=0, maximum=9), A),
    ("ranges put together, wider", all_of(whole(minimum=0), whole(maximum=9)), whole(minimum=1, maximum=9), S),
    ("a range and a hole", all_of(whole(minimum=0), {"not": const(0)}), whole(minimum=1), A),
    ("positive is not zero", whole(minimum=1), {"not": const(0)}, A),
    ("integer may be zero", i, {"not": const(0)}, S),
    ("zero is zero", const(0), {"not": const(0)}, N),
    ("not a text and not a number", b, all_of({"not": s}, {"not": n}), A),
    ("not a text and not a number, but it may be", either("boolean", "string"), all_of({"not": s}, {"not": n}), S),
    ("nothing fits anything", {"not": {}}, s, A),
    ("not not a text", {"not": {"not": s}}, s, A),
    ("type beside a union", {"type": "string", "anyOf": [text(minLength=3), const("")]}, s, A),
    ("a union beside a limit", {"anyOf": [s, n], "maxLength": 5}, any_of(text(maxLength=5), n), A),
    (
        "three parts",
        obj({"a": s, "b": s, "c": s}, "a b c"),
        all_of(obj({"a": s}, "a"), obj({"b": s}, "b"), obj({"c": text(minLength=1)}, "c")),
        S,
    ),
    ("parts that contradict each other", s, all_of(text(maxLength=2), text(minLength=3)), N),
]

REFERENCES: Final[list[Pair]] = [
    ("a reference into its target", {"$defs": {"id": text(minLength=3)}, "$ref": "#/$defs/id"}, s, A),
    (
        "two names for one thing",
        {"$defs": {"id": text(minLength=3)}, **obj({"id": {"$ref": "#/$defs/id"}}, "id")},
        {"$defs": {"q": text(minLength=1)}, **obj({"id": {"$ref": "#/$defs/q"}}, "id")},
        A,
    ),
    (
        "two names for two things",
        {"$defs": {"id": i}, **obj({"id": {"$ref": "#/$defs/id"}}, "id")},
        {"$defs": {"id": s}, **obj({"id": {"$ref": "#/$defs/id"}}, "id")},
        N,
    ),
    ("a reference to a reference", {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": i}, "$ref": "#/$defs/a"}, n, A),
    ("a reference beside a limit", {"$defs": {"t": s}, "$ref": "#/$defs/t", "maxLength": 5}, text(maxLength=9), A),
    (
        "a reference beside a limit that is too wide",
        {"$defs": {"t": s}, "$ref": "#/$defs/t", "maxLength": 9},
        text(maxLength=5),
        S,
    ),
    ("a tree into itself", tree(i), tree(i), A),
    ("a tree into a wider one", tree(i), tree(n), A),
    ("a tree into a narrower one", tree(n), tree(i), S),
    ("a tree of texts into one of numbers", tree(s), tree(n), N),
    ("an open tree into a closed one", tree(i), tree(i, additionalProperties=False), S),
    ("a tree into its root", tree(i), obj({"v": n}, "v"), A),
    ("a tree into what has no children", tree(i), obj({"v": i, "c": {"type": "array", "maxItems": 0}}, "v"), S),
    ("a leaf into a tree", shut({"v": i}, "v"), tree(n), A),
    (
        "a list that refers to itself",
        {"$defs": {"l": any_of(z, obj({"next": {"$ref": "#/$defs/l"}}, "next"))}, "$ref": "#/$defs/l"},
        any_of(z, {"type": "object"}),
        A,
    ),
    (
        "a list that refers to itself, not null",
        {"$defs": {"l": any_of(z, obj({"next": {"$ref": "#/$defs/l"}}, "next"))}, "$ref": "#/$defs/l"},
        {"type": "object"},
        S,
    ),
    (
        "addresses of two contracts",
        {
            "$defs": {"adr": obj({"city": s, "zip": s}, "city zip")},
            **obj({"from": {"$ref": "#/$defs/adr"}, "to": {"$ref": "#/$defs/adr"}}, "from to"),
        },
        obj({"from": obj({"city": s}, "city"), "to": obj({"city": s}, "city")}, "from to"),
        A,
    ),
    (
        "addresses without a country",
        {"$defs": {"adr": shut({"city": s}, "city")}, **obj({"to": {"$ref": "#/$defs/adr"}}, "to")},
        obj({"to": obj({"city": s, "country": s}, "city country")}, "to"),
        N,
    ),
    (
        "addresses with a country perhaps",
        {"$defs": {"adr": shut({"city": s, "country": s}, "city")}, **obj({"to": {"$ref": "#/$defs/adr"}}, "to")},
        obj({"to": obj({"city": s, "country": s}, "city country")}, "to"),
        S,
    ),
]

LISTED: Final = {"lists": LISTS, "unions": UNIONS, "together": TOGETHER, "references": REFERENCES}
