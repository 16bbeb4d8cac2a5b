"""The promise of `--update`: whatever people changed in a file, in any form, is there afterwards."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from process_orchestrator.checking.documents.yaml_reader import read
from process_orchestrator.checking.importers.draft import Draft, DraftContract
from process_orchestrator.checking.importers.merge import ABSENT, merge, same
from process_orchestrator.checking.importers.write import bring_in
from process_orchestrator.checking.importers.yaml_edit import edited
from process_orchestrator.checking.importers.yaml_text import yaml_text
from process_orchestrator.checking.schemas.pointers import step_into, value_at

Json = Any
WORDS = ("a", "b", "kind", "limit", "required", "todo", "x y", "no", "1", "#", "a: b", "- c", "é", "{}", "'", '"')
TEXTS = (
    *WORDS,
    "",
    " x",
    "x ",
    "two\nlines\n",
    "0.10",
    "null",
    "~",
    "https://a.example/b?c#d",
    "long " * 40,
    "\x07\u2028",
)


def value(dice: random.Random, depth: int) -> Json:
    kind = dice.randrange(9 if depth else 6)
    if kind >= 7:
        return {dice.choice(WORDS): value(dice, depth - 1) for _ in range(dice.randrange(5))}
    if kind == 6:
        return [value(dice, depth - 1) for _ in range(dice.randrange(5))]
    return dice.choice((dice.choice(TEXTS), dice.randrange(-5, 5), 1.5, True, None, dice.choice(TEXTS)))


def changed(dice: random.Random, old: Json, depth: int = 4) -> Json:
    """The value with some of its places changed, removed or added."""
    if not isinstance(old, (dict, list)) or not depth:
        return value(dice, 2) if dice.random() < 0.3 else old
    if isinstance(old, list):
        kept = [changed(dice, each, depth - 1) for each in old if dice.random() < 0.9]
        return [*kept, *([value(dice, 1)] if dice.random() < 0.2 else [])]
    kept = {key: changed(dice, each, depth - 1) for key, each in old.items() if dice.random() < 0.9}
    return {**kept, **({dice.choice(WORDS): value(dice, 2)} if dice.random() < 0.3 else {})}


def commented(dice: random.Random, text: str) -> tuple[str, list[str]]:
    """The text with comments between its lines and behind some, where no text of several lines stands."""
    spans = [
        range(token.start_mark.line, token.end_mark.line + 1)
        for token in yaml.scan(text)
        if isinstance(token, yaml.ScalarToken) and token.end_mark.line > token.start_mark.line
    ]
    inside = {line for span in spans for line in span}
    lines, said = [], []
    for number, line in enumerate(text.splitlines()):
        if number not in inside and dice.random() < 0.2:
            said.append(f"# note {len(said)}")
            lines.append(" " * dice.randrange(6) + said[-1])
        if number not in inside and number + 1 not in inside and line.strip() and dice.random() < 0.1:
            said.append(f"# note {len(said)}")
            lines.append(f"{line}  {said[-1]}")
        else:
            lines.append(line)
    return "\n".join(lines) + "\n", said


def leaves(found: Json, pointer: str = "") -> Iterator[tuple[str, Json]]:
    if isinstance(found, dict) and found:
        for key, each in found.items():
            yield from leaves(each, step_into(pointer, key))
    else:
        yield pointer, found


def test_what_is_written_for_people_reads_back_as_it_was() -> None:
    dice = random.Random(1)
    for _ in range(150):
        document = {"contract": "a.b", **{word: value(dice, 4) for word in WORDS if dice.random() < 0.5}}
        assert same(read(yaml_text(document, header=("made",)).encode(), file="").value, document)


def test_an_edited_file_holds_the_new_value_and_every_comment() -> None:
    dice = random.Random(2)
    for _ in range(150):
        old = {"contract": "a.b", **{word: value(dice, 3) for word in WORDS if dice.random() < 0.5}}
        text, said = commented(dice, yaml_text(old))
        new = {**changed(dice, old), "contract": "a.b"}
        after = edited(text, old, new)
        assert same(read(after.encode(), file="").value, new)
        assert all(each in after for each in said)
        assert edited(text, old, old) == text


def test_a_small_change_leaves_all_other_lines() -> None:
    old = {"contract": "a.b", "input": {"type": "object", "properties": {"a": {"type": "string"}}}, "todo": ["x", "y"]}
    text = "contract:   a.b  # ours\n\ninput:\n  type: 'object'\n  properties:\n    a: {type:  string} # why\ntodo:\n- x # first\n- y\n"
    new = {**old, "input": {"type": "object", "properties": {"a": {"type": "string"}, "b": {}}}, "todo": ["x"]}
    assert edited(text, old, new) == text.replace("# why\n", "# why\n    b: {}\n").replace("- y\n", "")


def test_no_change_of_a_person_is_lost_in_a_merge() -> None:
    dice = random.Random(3)
    for _ in range(400):
        base = {word: value(dice, 3) for word in WORDS if dice.random() < 0.6}
        new, ours = changed(dice, base), changed(dice, base)
        merged: Json = merge(base, new, ours).value
        for pointer, each in leaves(ours):
            if not same(value_at(base, pointer), each) and not isinstance(each, (list, dict)) and each is not None:
                assert same(value_at(merged, pointer), each), (pointer, json.dumps([base, new, ours, merged]))
        gone = [key for key in base if key not in ours]
        assert all(key not in merged for key in gone)
        assert same(merge(base, base, ours).value, ours)
        assert same(merge(base, new, base).value, new)
        assert merge(ABSENT, new, ABSENT).value is new


PERSONS = {
    "summary": lambda dice: f"Said by a person, {dice.randrange(1000)}.",
    "effects": lambda dice: {"kind": dice.choice(["none", "read", "write"]), "resources": [f"r:{dice.randrange(9)}"]},
    "idempotency": lambda _: "natural",
    "errors": lambda dice: {f"p{dice.randrange(9)}": {"class": "permanent"}, "busy": {"class": "transient"}},
    "timeout": lambda dice: {"attempt_s": dice.randrange(1, 9)},
    "approval": lambda _: "always",
    "status": lambda _: "active",
    "todo": lambda _: ["ask ana"],
    "examples": lambda dice: [{"name": f"n{dice.randrange(9)}", "input": {}, "output": {}}],
    "x-owner": lambda dice: f"team {dice.randrange(9)}",
    "data": lambda _: {"sensitivity": "internal"},
}


def sourced(dice: random.Random) -> Draft:
    """What a source may say at some time."""
    names = [name for name in ("limit", "tag", "name", "page") if dice.random() < 0.7]
    fields = {
        name: {"type": dice.choice(["string", "integer"]), "description": f"d{dice.randrange(3)}"} for name in names
    }
    document = {
        "version": "1.0.0",
        "summary": f"Source {dice.randrange(3)}.",
        "input": {"type": "object", "properties": fields},
        "output": {"type": "object", "properties": {**fields, "id": {"type": "string"}}},
        "errors": {f"e{n}": {"class": dice.choice(["permanent", "transient"])} for n in range(dice.randrange(4))},
        "effects": {"kind": "read", "resources": ["x"]},
    }
    contract = DraftContract(key="GET /a", name="a", document=document, bind={"method": "GET", "path": "/a"})
    transport = {"kind": "http", "base_url": "https://a.example"}
    return Draft(
        kind="openapi",
        source="a.yaml",
        agent="api",
        document={"summary": "A.", "transport": transport},
        contracts=(contract,),
        known=("GET /a",),
    )


@pytest.mark.behaviour("import-update")
def test_random_edits_of_people_survive_updates_of_random_sources(tmp_path: Path) -> None:
    dice = random.Random(4)
    for turn in range(25):
        home = tmp_path / str(turn)
        bring_in(sourced(dice), home)
        path = home / "contracts/api/api.a.contract.yaml"
        wrote: dict[str, Json] = {}
        said: list[str] = []
        for _ in range(3):
            before = read(path.read_bytes(), file="").value
            edits = {key: make(dice) for key, make in PERSONS.items() if dice.random() < 0.3}
            wrote |= edits
            text = edited(path.read_text(encoding="utf-8"), before, {**before, **edits})
            said.append(f"# person {turn} {len(said)}")
            lines = text.splitlines(keepends=True)
            top = dice.choice(["contract:", "input:", "output:"])
            at = next(number for number, line in enumerate(lines) if line.startswith(top))
            path.write_text("".join([*lines[:at], f"{said[-1]}\n", *lines[at:]]), encoding="utf-8")
            bring_in(sourced(dice), home, update=True)
            text = path.read_text(encoding="utf-8")
            after = read(text.encode(), file="").value
            for key, each in wrote.items():
                held = after[key]
                if key in ("todo", "errors"):  # what is the source's stands beside it
                    assert all(one in held for one in each), (key, each, held)
                else:
                    assert same(held, each), (key, each, held)
            assert all(each in text for each in said)
