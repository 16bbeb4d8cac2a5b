"""A pinned live definition beside the present one: same, text_changed, compatible, breaking or missing.

Three shapes are known, by what stands in them: an MCP tool, an operation of an OpenAPI document, a skill of an A2A
card. A difference of words alone is `text_changed`: a model may read them, no call depends on them. The five words
are in order of weight, and `compatible` is the last under which reading may go on.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from process_orchestrator.checking.changes.evolution import Change, worst
from process_orchestrator.checking.changes.schema_change import Judgement, judge_schema, same, told
from process_orchestrator.checking.documents.pins import (
    DEFINITION_BYTES_MAX,
    READ_GOES_ON,
    READS,
    Definition,
    Pin,
    PinVerdict,
    canonical,
    hash_of,
)
from process_orchestrator.checking.schemas.shown import shown, visible
from process_orchestrator.core.facts.values import Effect, Fact

Json = Any

DIFF_LINES_MAX: Final = 200
DIFF_BYTES_MAX: Final = 200_000
"""Of a definition that is compared line by line; the comparison is quadratic."""


_VERDICTS: Final[Mapping[Judgement, PinVerdict]] = {
    Judgement.SAME: PinVerdict.TEXT_CHANGED,  # the hashes differ: something that nobody relies on changed
    Judgement.TEXT: PinVerdict.TEXT_CHANGED,
    Judgement.WIDENING: PinVerdict.COMPATIBLE,
    Judgement.BREAKING: PinVerdict.BREAKING,
}


class LiveChange(Fact, frozen=True, kw_only=True, omit_defaults=False):
    """How one definition differs from its pin. `diff` is made of the two, line by line."""

    name: str
    verdict: PinVerdict
    changes: tuple[Change, ...] = ()
    diff: tuple[str, ...] = ()

    def allows(self, effect: Effect) -> bool:
        """Whether a call may still be made: any while nothing changed, a reading one while its answer can be read."""
        return self.verdict is PinVerdict.SAME or (effect in READS and self.verdict in READ_GOES_ON)


def compare(name: str, pinned: Pin, live: Definition | None) -> LiveChange:
    """Judge a live definition. `live` is None where the agent no longer has it."""
    if live is None:
        return LiveChange(name=name, verdict=PinVerdict.MISSING, diff=line_diff(pinned.definition, {}))
    if hash_of(live) == pinned.sha256:
        return LiveChange(name=name, verdict=PinVerdict.SAME)
    size = len(canonical(live))
    if size > DEFINITION_BYTES_MAX:
        message = f"the definition has {size} bytes, more than is compared"
        change = Change(judgement=Judgement.BREAKING, pointer="", message=message)
        return LiveChange(name=name, verdict=PinVerdict.BREAKING, changes=(change,))
    changes = tuple(_changes(pinned.definition, live))
    verdict = _VERDICTS[worst(change.judgement for change in changes)]
    return LiveChange(name=name, verdict=verdict, changes=changes, diff=line_diff(pinned.definition, live))


def line_diff(old: Definition, new: Definition) -> tuple[str, ...]:
    """A unified diff of both, written over lines. Texts of agents stand in it: whoever prints it cleans them."""
    texts = [json.dumps(each, ensure_ascii=False, indent=2, sort_keys=True) for each in (old, new)]
    if max(map(len, texts)) > DIFF_BYTES_MAX:
        return (f"- {len(texts[0])} characters", f"+ {len(texts[1])} characters")
    was, now = ([visible(line) for line in text.split("\n")] for text in texts)
    lines = list(difflib.unified_diff(was, now, "pinned", "live", lineterm="", n=2))
    more = len(lines) - DIFF_LINES_MAX
    return (*lines[:DIFF_LINES_MAX], *((f"… and {more} more lines",) if more > 0 else ()))


_SCHEMAS: Final[Mapping[str, bool]] = {"inputSchema": True, "outputSchema": False}
"""Schemas of a definition, and whether they describe what goes in. An operation's are put beside it by its importer."""

_PROMISES: Final[Mapping[str, tuple[Json, Json]]] = {
    "readOnlyHint": (True, False),
    "idempotentHint": (True, False),
    "destructiveHint": (False, True),
    "openWorldHint": (False, True),
}
"""Of an annotation: the value that promises something, and what counts where it says nothing."""

_MODES: Final[Mapping[str, str]] = {"inputModes": "is no longer taken", "outputModes": "may no longer be given"}
_OPERATION: Final = frozenset({"method", "path", "security", "securitySchemes", "consumes"})
"""Of an operation: how it is called. `operation` itself, as the document has it, is words; its schemas stand apart."""


def _changes(old: Definition, new: Definition) -> Iterator[Change]:
    for key in sorted({*old, *new}):
        if same(old.get(key), new.get(key)) and (key in old) == (key in new):
            continue
        if key in _SCHEMAS:
            for each in judge_schema(old.get(key), new.get(key), may_widen=_SCHEMAS[key]):
                yield Change(
                    judgement=each.judgement,
                    pointer=f"/{key}{each.pointer}",
                    message=each.message,
                    witness=each.witness,
                )
        elif key == "annotations":
            yield from _annotations(old.get(key), new.get(key))
        elif key == "execution":
            yield from _execution(old.get(key), new.get(key))
        elif key == "errors":
            yield from _errors(old.get(key), new.get(key))
        elif key in _MODES:
            yield from _modes(key, old.get(key), new.get(key))
        else:
            judgement = Judgement.BREAKING if key in _OPERATION else Judgement.TEXT
            yield Change(judgement=judgement, pointer=f"/{key}", message=f"`{key}` {_told(old, new, key)}")


def _annotations(old: Json, new: Json) -> Iterator[Change]:
    was, now = (each if isinstance(each, dict) else {} for each in (old, new))
    for key in sorted({*was, *now}):
        if same(was.get(key), now.get(key)) and (key in was) == (key in now):
            continue
        pointer, message = f"/annotations/{key}", f"`{key}` {_told(was, now, key)}"
        if key not in _PROMISES:
            yield Change(judgement=Judgement.TEXT, pointer=pointer, message=message)
            continue
        promise, silent = _PROMISES[key]
        kept, keeps = was.get(key, silent) == promise, now.get(key, silent) == promise
        judgement = (
            Judgement.BREAKING if kept and not keeps else Judgement.WIDENING if keeps and not kept else Judgement.TEXT
        )
        yield Change(judgement=judgement, pointer=pointer, message=message)


def _execution(old: Json, new: Json) -> Iterator[Change]:
    """Whether a call must be made as a task, which not every client can."""
    must = isinstance(new, dict) and new.get("taskSupport") == "required"
    judgement = Judgement.BREAKING if must else Judgement.WIDENING
    yield Change(judgement=judgement, pointer="/execution", message=f"`execution` was {shown(old)} and is {shown(new)}")


def _errors(old: Json, new: Json) -> Iterator[Change]:
    was, now = (each if isinstance(each, dict) else {} for each in (old, new))
    for code in sorted({*was, *now}):
        if not same(was.get(code), now.get(code)):
            judgement = Judgement.BREAKING if code in was else Judgement.WIDENING
            yield Change(judgement=judgement, pointer=f"/errors/{code}", message=f"`{code}` {_told(was, now, code)}")


def _modes(key: str, old: Json, new: Json) -> Iterator[Change]:
    was, now = (tuple(each) if isinstance(each, list) else () for each in (old, new))
    for gone in (each for each in was if each not in now):
        yield Change(judgement=Judgement.BREAKING, pointer=f"/{key}", message=f"{shown(gone)} {_MODES[key]}")
    for come in (each for each in now if each not in was):
        yield Change(judgement=Judgement.WIDENING, pointer=f"/{key}", message=f"{shown(come)} is new")


def _told(old: Mapping[str, Json], new: Mapping[str, Json], key: str) -> str:
    return told(old.get(key, msgspec.UNSET), new.get(key, msgspec.UNSET))
