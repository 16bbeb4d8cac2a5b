"""Which process type a task is for, by rule: keywords, examples, the input. Asks no model, invents no input."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Final

from process_orchestrator.checking.documents.definitions import ProcessType
from process_orchestrator.checking.loading.registry import Registry
from process_orchestrator.core.facts.values import Fact

Json = Any

LEAD: Final = 2
"""By how much the best type must lead the next."""

POINTER_SCORE: Final = 2
EXAMPLE_SCORE: Final = 2
EXAMPLE_WORDS_MIN: Final = 4
EXAMPLE_SHARE: Final = 0.8
"""Of an example's words so many must stand in the task."""

TASK_CHARS_MAX: Final = 100_000
"""Of a longer task only the beginning is read."""


_ORDERS: Final = re.compile(
    r"\b(?:ignore|disregard|forget|override|bypass|vergiss|ignoriere|missachte)\b[^.!?\n]{0,40}"
    r"\b(?:rules?|instructions?|prompts?|above|regeln|anweisungen|vorgaben)\b"
    r"|\b(?:system ?prompt|you are now|pretend (?:to be|that)|du bist (?:jetzt|nun|ab sofort))\b"
    r"|\b(?:process_type|none_of_these)\b"
    r"|\b(?:answer|respond|reply|say|output|pick|choose|return|antworte|wähle|nimm)\b[^.!?\n]{0,12}\b[a-z]+_[a-z_]+\b(?![\w.+-]*@)"
)
"""Words to whoever reads a task, not about any work."""

_WIPES: Final = re.compile(
    r"\b(?:delete|remove|erase|wipe|drop|purge|destroy|loesche|lösche|löschen|entferne|vernichte)\b[^.!?\n]{0,20}"
    r"\b(?:all|every|everything|entire|whole|complete|database|alle|alles|sämtliche|gesamte[ns]?|datenbank)\b"
)
"""Requests to do away with all of something: no type is made for that, whatever its keywords are."""

READ_CHARACTERS: Final = 20_000


class Candidate(Fact, frozen=True, kw_only=True):
    """A type that may be meant, and the names of what its input requires."""

    name: str
    version: str
    summary: str
    score: int
    input_required: tuple[str, ...]
    input_missing: tuple[str, ...]  # required, and not in the given input


class Classified(Fact, frozen=True, kw_only=True):
    """The one type that the rules found."""

    process_type: ProcessType
    score: int


class Ambiguous(Fact, frozen=True, kw_only=True):
    """No type leads clearly: the candidates, best first; every type where none scored at all."""

    candidates: tuple[Candidate, ...]


def classify(registry: Registry, task: str, input_value: Json = None) -> Classified | Ambiguous:
    """Find the type of a task. Of each type the newest version is looked at."""
    words = _words(task[:TASK_CHARS_MAX])
    newest = {each.name: each for each in reversed(registry.processes)}
    scored = [(_score(each, words, input_value), each) for _, each in sorted(newest.items())]
    ranked = sorted(scored, key=lambda pair: -pair[0])
    hits = [pair for pair in ranked if pair[0] > 0]
    leads = hits and (len(hits) == 1 or hits[0][0] - hits[1][0] >= LEAD) and hits[0][0] >= LEAD
    if leads and not addresses_its_reader(task):
        return Classified(process_type=hits[0][1], score=hits[0][0])
    return Ambiguous(candidates=tuple(_candidate(each, score, input_value) for score, each in hits or ranked))


def addresses_its_reader(task: str) -> bool:
    """Whether a task gives orders to who sorts it, names the answer, or asks to delete all: a person sorts that."""
    # A model is shown the beginning and the end of a long task, so that both are looked at.
    shown = task if len(task) <= 2 * READ_CHARACTERS else f"{task[:READ_CHARACTERS]}\n{task[-READ_CHARACTERS:]}"
    text = " ".join(_visible(_normal(shown)).split())
    return _ORDERS.search(text) is not None or _WIPES.search(text) is not None or _is_json(task)


def _visible(text: str) -> str:
    return "".join(each for each in text if unicodedata.category(each) != "Cf")


def _is_json(task: str) -> bool:
    stripped = task.strip()
    return stripped[:1] in {"{", "["} and stripped[-1:] in {"}", "]"}


def _score(process_type: ProcessType, words: tuple[str, ...], given: Json) -> int:
    keywords = {_words_of_keyword(keyword) for keyword in process_type.intake.keywords}
    hits = sum(_occurs(keyword, words) for keyword in keywords if keyword)
    alike = any(_like(_words(example), frozenset(words)) for example in process_type.intake.examples)
    pointers = sum(_present(given, pointer) for pointer in process_type.intake.requires)
    return hits + EXAMPLE_SCORE * alike + POINTER_SCORE * pointers


def _like(example: tuple[str, ...], words: frozenset[str]) -> bool:
    """Whether a task says nearly all that an example says. A short example says too little to be like."""
    wanted = frozenset(example)
    return len(wanted) >= EXAMPLE_WORDS_MIN and len(wanted & words) >= EXAMPLE_SHARE * len(wanted)


def _normal(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def _words(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\w+", _normal(text)))


def _words_of_keyword(keyword: str) -> tuple[str, ...]:
    words = _words(keyword)
    return (*words[:-1], f"{words[-1]}*") if words and keyword.rstrip().endswith("*") else words


def _occurs(keyword: tuple[str, ...], words: tuple[str, ...]) -> bool:
    """Whether the keyword's words stand in the task, adjacent and in order; a trailing `*` takes the rest of a word."""
    *first, last = keyword
    for start in range(len(words) - len(keyword) + 1):
        ending = words[start + len(first)]
        if list(words[start : start + len(first)]) != first:
            continue
        if ending == last or (last.endswith("*") and ending.startswith(last[:-1])):
            return True
    return False


def _present(given: Json, pointer: str) -> bool:
    for token in pointer.split("/")[1:]:
        part = token.replace("~1", "/").replace("~0", "~")
        if isinstance(given, Mapping) and part in given:
            given = given[part]
        elif isinstance(given, list) and part.isdecimal() and int(part) < len(given):
            given = given[int(part)]
        else:
            return False
    return True


def _candidate(process_type: ProcessType, score: int, given: Json) -> Candidate:
    required = tuple(str(name) for name in process_type.input.get("required", ()))
    return Candidate(
        name=process_type.name,
        version=process_type.version,
        summary=process_type.summary,
        score=score,
        input_required=required,
        input_missing=tuple(name for name in required if not _present(given, f"/{name}")),
    )
