"""Texts that match a pattern or a format, drawn by a seeded random source.

A pattern is read by a small parser of the common subset (literals, classes, groups, alternatives, repeats, anchors)
and drawn from in time linear in what comes out; what it cannot read (look-around never compiles here, property
classes beyond letters and digits, assertions inside a word) gives None. Whether a draw really matches is checked by
who asked: this room knows no schema and no validator.
"""

from __future__ import annotations

import base64
import string
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

DIGITS: Final = string.digits
LETTERS: Final = string.ascii_letters
WORD: Final = LETTERS + DIGITS + "_"
PRINTABLE: Final = "".join(chr(code) for code in range(32, 127))
SPACES: Final = " \t"
CLASSES: Final[Mapping[str, str]] = {"d": DIGITS, "w": WORD, "s": SPACES}
PROPERTIES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("L", "Letter", "Alphabetic"), LETTERS + "éßжλ語"),
    **dict.fromkeys(("Lu", "Uppercase"), string.ascii_uppercase + "ÉЖΛ"),
    **dict.fromkeys(("Ll", "Lowercase"), string.ascii_lowercase + "éжλ"),
    **dict.fromkeys(("N", "Nd"), DIGITS),
}
CONTROLS: Final[Mapping[str, str]] = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "0": "\0"}
WORDS: Final = ("blue", "north", "Ana", "42", "a b", "Zürich", "日本", "naïve", "O'Neil", "x", "😀", "tab\tbed", '"q"')

LONG: Final = 200
"""Characters of a long text where nothing bounds it."""

REPEATS_MORE: Final = 4
"""How many more than the fewest an open repeat gives, at most, when no length is asked for."""

CHARACTERS_MAX: Final = 20_000
DEPTH_MAX: Final = 40

EPOCH: Final = datetime(2020, 1, 1, tzinfo=UTC)

Draw = Callable[["_Wish"], str]


class UnreadPatternError(Exception):
    """The pattern uses what the sampler does not know."""


class _Wish:
    """What one draw has at hand: chance, how long repeats may get, and how much is left."""

    def __init__(self, random: Random, more: int) -> None:
        self.random, self.more, self.left = random, more, CHARACTERS_MAX

    def spend(self, text: str) -> str:
        self.left -= len(text) or 1
        if self.left < 0:
            raise UnreadPatternError
        return text


def sample_pattern(pattern: str, random: Random, *, at_least: int = 0) -> str | None:
    """A text that the pattern should match, longer repeats where `at_least` characters are wanted; None: unread."""
    try:
        draw = _Parser(pattern).whole()
        text = draw(_Wish(random, max(REPEATS_MORE, at_least)))
        if len(text) < at_least and not pattern.endswith("$"):
            text += "".join(random.choices(LETTERS, k=min(at_least, CHARACTERS_MAX) - len(text)))
    except UnreadPatternError:
        return None
    return text


class _Parser:
    """Recursive descent over a pattern; every rule gives a function that draws."""

    def __init__(self, pattern: str) -> None:
        self._text, self._at, self._depth = pattern, 0, 0

    def whole(self) -> Draw:
        draw = self._alternatives()
        if self._at < len(self._text):
            raise UnreadPatternError
        return draw

    def _peek(self) -> str:
        return self._text[self._at] if self._at < len(self._text) else ""

    def _take(self, wanted: str = "") -> str:
        char = self._peek()
        if not char or (wanted and char != wanted):
            raise UnreadPatternError
        self._at += 1
        return char

    def _accept(self, prefix: str) -> bool:
        if self._text.startswith(prefix, self._at):
            self._at += len(prefix)
            return True
        return False

    def _alternatives(self) -> Draw:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise UnreadPatternError
        branches = [self._sequence()]
        while self._accept("|"):
            branches.append(self._sequence())
        self._depth -= 1
        return branches[0] if len(branches) == 1 else lambda wish: wish.random.choice(branches)(wish)

    def _sequence(self) -> Draw:
        parts: list[Draw] = []
        while self._peek() not in {"", "|", ")"}:
            parts.append(self._repeated(self._atom()))
        return lambda wish: "".join([part(wish) for part in parts])

    def _repeated(self, atom: Draw) -> Draw:
        char = self._peek()
        if char not in {"?", "*", "+", "{"}:
            return atom
        self._take()
        fewest, most = {"?": (0, 1), "*": (0, None), "+": (1, None), "{": (0, None)}[char]
        if char == "{":
            fewest, most = self._counts()
        self._accept("?")  # lazy: the same texts

        def draw(wish: _Wish) -> str:
            ceiling = fewest + wish.more if most is None else min(most, fewest + wish.more)
            return "".join([atom(wish) for _ in range(wish.random.randint(fewest, max(fewest, ceiling)))])

        return draw

    def _counts(self) -> tuple[int, int | None]:
        inside, closed, rest = self._text[self._at :].partition("}")
        low, comma, high = inside.partition(",")
        if not closed or not low.isdigit() or (high and not high.isdigit()):
            raise UnreadPatternError
        self._at = len(self._text) - len(rest)
        return int(low), int(high) if high else None if comma else int(low)

    def _atom(self) -> Draw:
        char = self._take()
        if char == "(":
            if self._accept("?") and not self._accept(":"):
                self._name()
            draw = self._alternatives()
            self._take(")")
            return draw
        if char == "[":
            return self._one_of(self._class())
        if char in {"^", "$"}:  # anchors draw nothing; one inside a word makes a draw that does not match
            return lambda _: ""
        if char == ".":
            return self._one_of(PRINTABLE)
        if char == "\\":
            return self._one_of(self._escaped())
        if char in {"*", "+", "?"}:
            raise UnreadPatternError
        return self._one_of(char)

    def _name(self) -> None:
        if not (self._accept("P<") or self._accept("<")) or self._peek() in {"=", "!"}:
            raise UnreadPatternError
        while self._take() != ">":
            pass

    @staticmethod
    def _one_of(chars: str) -> Draw:
        if not chars:
            raise UnreadPatternError
        return lambda wish: wish.spend(wish.random.choice(chars))

    def _escaped(self) -> str:
        char = self._take()
        if char in CLASSES:
            return CLASSES[char]
        if char.lower() in CLASSES:
            return _without(CLASSES[char.lower()])
        if char == "p":
            name = self._text[self._at :].partition("}")[0].removeprefix("{")
            if name not in PROPERTIES or not self._accept("{" + name + "}"):
                raise UnreadPatternError
            return PROPERTIES[name]
        if char in {"x", "u"}:
            return self._code(2 if char == "x" else 4)
        if char in CONTROLS:
            return CONTROLS[char]
        if char.isalnum():  # \b, back-references and the rest
            raise UnreadPatternError
        return char

    def _code(self, digits: int) -> str:
        if self._accept("{"):
            written, _, rest = self._text[self._at :].partition("}")
            self._at = len(self._text) - len(rest)
        else:
            written = self._text[self._at : self._at + digits]
            self._at += digits
        try:
            return chr(int(written, 16))
        except (ValueError, OverflowError):
            raise UnreadPatternError from None

    def _class(self) -> str:
        negative, chars = self._accept("^"), ""
        first = True
        while first or self._peek() != "]":
            first = False
            char = self._take()
            if char == "[" and self._peek() == ":":
                raise UnreadPatternError
            found = self._escaped() if char == "\\" else char
            if len(found) == 1 and self._peek() == "-" and self._text[self._at + 1 : self._at + 2] not in {"]", ""}:
                self._take()
                end = self._take()
                last = self._escaped() if end == "\\" else end
                found = _range(found, last)
            chars += found
        self._take("]")
        return _without(chars) if negative else chars


def _range(first: str, last: str) -> str:
    if len(last) != 1 or ord(last) < ord(first):
        raise UnreadPatternError
    codes = range(ord(first), ord(last) + 1)
    step = max(1, len(codes) // 200)  # of a wide range, a sample
    return "".join(chr(code) for code in (*codes[::step], codes[-1]) if not 0xD800 <= code <= 0xDFFF)


def _without(chars: str) -> str:
    return "".join(char for char in PRINTABLE if char not in chars)


def sample_words(random: Random, *, at_least: int = 0, at_most: int | None = None) -> str:
    """Any text within a length: words of several scripts, cut and padded."""
    most = max(at_least, LONG) if at_most is None else at_most
    near = min(most, at_least + random.randint(1, 12))
    top = min(most, at_least + LONG)
    length = random.choice((at_least, near, random.randint(at_least, top), top))
    text = ""
    while len(text) < min(length, CHARACTERS_MAX):
        text += random.choice(WORDS)
    return text[:length]


def _moment(random: Random) -> datetime:
    return EPOCH + timedelta(
        days=random.choice((0, 59, 364, random.randint(0, 3650))), seconds=random.randint(0, 86399)
    )


def _host(random: Random) -> str:
    return f"{random.choice(('www', 'api', 'a-b'))}{random.randint(1, 99)}.example.{random.choice(('com', 'org'))}"


def _path(random: Random) -> str:
    return "/".join(random.choices(("a", "b1", "list", "%20x"), k=random.randint(1, 3)))


def _hours(random: Random) -> str:
    return _moment(random).strftime("%H:%M:%S") + random.choice(("Z", "+02:00", ".250Z"))


FORMATS: Final[Mapping[str, Callable[[Random], str]]] = {
    "date": lambda random: _moment(random).strftime("%Y-%m-%d"),
    "time": _hours,
    "date-time": lambda random: _moment(random).strftime("%Y-%m-%dT") + _hours(random),
    "duration": lambda random: f"P{random.randint(1, 9)}DT{random.randint(1, 9)}H",
    "email": lambda random: f"{random.choice(('ana', 'b.c+d'))}@{_host(random)}",
    "idn-email": lambda random: f"zoë@{_host(random)}",
    "hostname": _host,
    "idn-hostname": lambda random: f"bücher{random.randint(1, 9)}.example",
    "ipv4": lambda random: f"192.0.2.{random.randint(0, 255)}",
    "ipv6": lambda random: f"2001:db8::{random.randint(1, 0xFFFF):x}",
    "uri": lambda random: f"https://{_host(random)}/{_path(random)}",
    "uri-reference": lambda random: random.choice((f"https://{_host(random)}/", f"/{_path(random)}", "#part")),
    "iri": lambda random: f"https://{_host(random)}/ü",
    "iri-reference": lambda random: f"/{_path(random)}/ü",
    "uri-template": lambda random: f"https://{_host(random)}/{{id}}",
    "uuid": lambda random: str(uuid.UUID(int=random.getrandbits(128), version=4)),
    "json-pointer": lambda random: f"/{_path(random)}",
    "relative-json-pointer": lambda random: f"{random.randint(0, 3)}/{_path(random)}",
    "regex": lambda random: random.choice(("^a+$", "[0-9]{2}", "x|y")),
}
"""A way to draw each format that the validator asserts."""


def sample_base64(random: Random) -> str:
    """What `contentEncoding: base64` means; validators do not assert it, agents may."""
    return base64.b64encode(random.randbytes(random.randint(0, 24))).decode()
