"""A person's decisions about drafts, written into their files: what is open is answered by name, or stays open.

A draft becomes active when nothing is open any more. What was decided, by whom and when stands in `x-decided` of the
file. All drafts of one call are judged before the first is written. Knows nothing of terminals; who decides is told.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from process_orchestrator.checking.importers import places
from process_orchestrator.checking.importers.answers import Inferred
from process_orchestrator.checking.importers.documents import DRAFT_LINE
from process_orchestrator.checking.importers.naming import one_line
from process_orchestrator.checking.importers.yaml_edit import edited
from process_orchestrator.checking.loading.loader import load_bytes, load_home
from process_orchestrator.checking.loading.registry import LoadedFile, Registry
from process_orchestrator.checking.schemas.nearest import nearest
from process_orchestrator.core.errors import RefusedError
from process_orchestrator.core.facts.values import Effect, Fact

Json = Any

WHOLE: Final = "/"
"""How a person names what is open about the whole, and has no pointer."""

SHOWN_CHARS_MAX: Final = 200


class Answers(Fact, frozen=True, kw_only=True):
    """What a person decides. `accepted` are pointers whose open points are answered by what stands there."""

    effects: str | None = None
    idempotency: str | None = None  # natural, unsafe, or the field of the input that carries the key
    accepted: tuple[str, ...] = ()


class Signed(Fact, frozen=True, kw_only=True):
    """Who decides, and when."""

    by: str
    at: str  # RFC 3339


class Activated(Fact, frozen=True, kw_only=True):
    """A contract that plans may use now."""

    name: str
    file: str
    summary: str
    effects: str
    decided: tuple[str, ...]


class OutputWritten(Fact, frozen=True, kw_only=True):
    """A draft that got another output, and the agent's file that reads it so."""

    name: str
    file: str
    agent_file: str


class _Open(Fact, frozen=True, kw_only=True):
    """One line of `todo`: where, and what."""

    pointer: str
    line: str

    @classmethod
    def of(cls, line: str) -> _Open:
        pointer, separator, _ = line.partition(": ")
        whole = not separator or not pointer.startswith("/") or " " in pointer
        return cls(pointer="" if whole else pointer, line=line)


def activate(home: Path, names: Sequence[str], answers: Answers, signed: Signed) -> tuple[Activated, ...]:
    """Answer what is open in drafts and make them active. Raises RefusedError where something stays open."""
    registry = load_home(home)
    found = [_draft(registry, name) for name in dict.fromkeys(_expanded(registry, names))]
    changed: list[tuple[LoadedFile, str]] = []
    done: list[Activated] = []
    for each in found:
        written = dict(each.document.value)
        decided = _answered(written, answers, signed, unused=len(found) == 1)
        written.pop("todo", None)
        written["status"] = "active"
        text = _edited(each, written)
        changed.append((each, text))
        done.append(
            Activated(
                name=written["contract"],
                file=each.file,
                summary=written["summary"],
                effects=written["effects"]["kind"],
                decided=decided,
            )
        )
    for each, text in changed:
        places.put(Path(each.path), text)
    return tuple(done)


def write_output(home: Path, bound: tuple[str, str], inferred: Inferred, *, signed: Signed) -> OutputWritten:
    """Give the draft that an agent binds to a tool the output that its answers have shown, and answer what was open.

    `bound` is agent and tool, skill or METHOD:/path. The agent reads the answer from now on as `inferred` says. Raises
    RefusedError where no draft, or more than one, is bound so.
    """
    agent, tool = bound
    registry = load_home(home)
    agent_file, index = _serving(registry, agent, tool)
    served = agent_file.document.value["serves"][index]
    contract_file = _draft(registry, served["contract"].partition("@")[0])
    written = dict(contract_file.document.value)
    written["output"] = dict(inferred.schema)
    lines = [_Open.of(each) for each in written.get("todo", ())]
    answered = [each for each in lines if _covers("/output", each.pointer)]
    written["todo"] = [each.line for each in lines if each not in answered]
    if not written["todo"]:
        del written["todo"]
    entry = {"at": signed.at, "by": signed.by, "decided": f"output as answers of {one_line(tool)} have shown it"}
    written["x-decided"] = [*written.get("x-decided", ()), entry]
    bind = {key: value for key, value in served["bind"].items() if key not in ("result", "wrap")}
    bind |= {} if inferred.result is None else {"result": inferred.result}
    bind |= {} if inferred.wrap is None else {"wrap": inferred.wrap}
    serves = list(agent_file.document.value["serves"])
    serves[index] = {**served, "bind": bind}
    texts = (
        _edited(contract_file, written),
        _edited(agent_file, {**agent_file.document.value, "serves": serves}),
    )
    places.put(Path(contract_file.path), texts[0])
    places.put(Path(agent_file.path), texts[1])
    return OutputWritten(name=written["contract"], file=contract_file.file, agent_file=agent_file.file)


# --- one draft -----------------------------------------------------------------------------------------------------


def _expanded(registry: Registry, names: Sequence[str]) -> list[str]:
    """The names, each with a `*` as the drafts that it chooses."""
    drafts = sorted(str(_value(each)["contract"]) for each in registry.files.values() if _is_draft(each))
    found: list[str] = []
    for name in names:
        chosen = [each for each in drafts if fnmatchcase(each, name)] if "*" in name else [name]
        if not chosen:
            message = f"no draft is called {one_line(name, chars=80)}."
            raise RefusedError("UNKNOWN_CONTRACT", message, do=f"drafts are: {', '.join(drafts[:10]) or 'none'}.")
        found += chosen
    return found


def _is_draft(file: LoadedFile) -> bool:
    return "contract" in _value(file) and _value(file).get("status") == "draft"


def _draft(registry: Registry, name: str) -> LoadedFile:
    """The file of the draft of that name. Raises RefusedError: unknown, active already, or not readable."""
    wanted, _, version = name.partition("@")
    named = [each for each in registry.files.values() if _value(each).get("contract") == wanted]
    drafts = [each for each in named if _is_draft(each) and (not version or _value(each).get("version") == version)]
    if not named:
        known = [str(_value(each)["contract"]) for each in registry.files.values() if "contract" in _value(each)]
        close = ", ".join(nearest(wanted, known))
        do = f"did you mean {close}?" if close else "import one first: `orchestrator contracts import`."
        raise RefusedError("UNKNOWN_CONTRACT", f"there is no contract {one_line(name, chars=80)}.", do=do)
    if not drafts:
        message = f"{one_line(name, chars=80)} is active; nothing was changed."
        do = "change an active contract in its file, under a new version: its old one is what plans rely on."
        raise RefusedError("BAD_ARGUMENT", message, do=do)
    if len(drafts) > 1:
        versions = ", ".join(f"{wanted}@{_value(each).get('version')}" for each in drafts)
        raise RefusedError("BAD_ARGUMENT", f"there are several drafts of {wanted}.", do=f"name one: {versions}.")
    broken = next((each for each in drafts[0].problems if each.level == "error"), None)
    if broken is not None:
        message = f"{drafts[0].file}:{broken.line} {broken.pointer}: {broken.message}."
        raise RefusedError("BAD_ARGUMENT", message, do=broken.fix)
    return drafts[0]


def _value(file: LoadedFile) -> dict[str, Json]:
    return file.document.value if isinstance(file.document.value, dict) else {}


def _answered(written: dict[str, Json], answers: Answers, signed: Signed, *, unused: bool) -> tuple[str, ...]:
    """Put the answers into a contract's document. Raises RefusedError where a point stays open, or an answer is none.

    `unused` says that an answer to something that is not open is refused: of several drafts it may be another's.
    """
    name, lines = written["contract"], [_Open.of(each) for each in written.get("todo", ())]
    entries: list[dict[str, Json]] = []

    def decide(pointer: str, what: str) -> None:
        matched = [each for each in lines if _covers(pointer, each.pointer)]
        entries.append(
            {"at": signed.at, "by": signed.by, "decided": what, "todo": [_short(each.line) for each in matched]}
            if matched
            else {"at": signed.at, "by": signed.by, "decided": what}
        )
        for each in matched:
            lines.remove(each)

    if answers.effects is not None:
        written["effects"] = {**written["effects"], "kind": _effect(answers.effects)}
        decide("/effects", f"effects: {answers.effects}")
    if answers.idempotency is not None:
        chosen = answers.idempotency
        written["idempotency"] = chosen if chosen in {"natural", "unsafe"} else {"key": chosen}
        decide("/idempotency", f"idempotency: {chosen}")
    for pointer in answers.accepted:
        if any(_covers(pointer, each.pointer) for each in lines):
            decide(pointer, f"accepted as it stands: {pointer}")
        elif unused:
            message = f"nothing is open at {one_line(pointer, chars=80)} of {name}."
            raise RefusedError("BAD_ARGUMENT", message, do=_how(lines) or "leave this --accept out.")
    if lines:
        count = "one thing is" if len(lines) == 1 else f"{len(lines)} things are"
        shown = "; ".join(_short(each.line) for each in lines[:5])
        raise RefusedError("BAD_ARGUMENT", f"{count} undecided in {name}: {shown}.", do=_how(lines))
    if entries:
        written["x-decided"] = [*written.get("x-decided", ()), *entries]
    return tuple(str(each["decided"]) for each in entries)


def _effect(word: str) -> str:
    if word not in {each.value for each in Effect}:
        raise RefusedError(
            "BAD_ARGUMENT",
            f"`{one_line(word, chars=40)}` is no kind of effect.",
            do="none (computes), read, write (can be undone or repeated), or irreversible.",
        )
    return word


def _how(lines: Sequence[_Open]) -> str:
    """How what is open can be answered."""
    flags: list[str] = []
    for each in lines:
        if _covers("/effects", each.pointer):
            flags.append("--effects read|write|irreversible")
        elif _covers("/idempotency", each.pointer):
            flags.append("--idempotency natural|unsafe|FIELD")
        else:
            flags.append(f"--accept {each.pointer or WHOLE}")
    said = ", ".join(dict.fromkeys(flags))
    return f"change the file, or answer with {said} (accept: as it stands in the file)." if flags else ""


def _covers(pointer: str, place: str) -> bool:
    if pointer == WHOLE:
        return not place
    return place == pointer or place.startswith(f"{pointer.rstrip('/')}/")


def _short(line: str) -> str:
    return one_line(line, chars=SHOWN_CHARS_MAX)


# --- files ---------------------------------------------------------------------------------------------------------


def _serving(registry: Registry, agent: str, tool: str) -> tuple[LoadedFile, int]:
    """The agent's file, and which of its `serves` binds the tool."""
    for each in registry.files.values():
        if _value(each).get("agent") != agent:
            continue
        bound = [
            index
            for index, serve in enumerate(_value(each).get("serves", ()))
            if isinstance(serve, dict) and _is_bound(serve.get("bind"), tool)
        ]
        if len(bound) == 1:
            return each, bound[0]
        message = f"{each.file} binds {'several contracts' if bound else 'no contract'} to {one_line(tool, chars=80)}."
        raise RefusedError("BAD_ARGUMENT", message, do="leave --write out, and copy the schema where it belongs.")
    raise RefusedError("UNKNOWN_AGENT", f"there is no file of the agent {agent}.", do="leave --write out.")


def _is_bound(bind: Json, tool: str) -> bool:
    """Whether a `bind` leads to a tool or skill, or to METHOD:/path with its parameters filled in."""
    if not isinstance(bind, dict):
        return False
    method, _, path = tool.partition(":")
    if path.startswith("/") and isinstance(bind.get("path"), str):
        pattern = "[^/]+".join(re.escape(part) for part in re.split(r"\{[^{}]*\}", bind["path"]))
        return bind.get("method") == method.upper() and re.fullmatch(pattern, path.partition("?")[0]) is not None
    return tool in (bind.get("tool"), bind.get("skill"))


def _text(file: LoadedFile) -> str:
    """What the file holds, if it is what was judged."""
    try:
        data = Path(file.path).read_bytes()
    except OSError as error:
        message = f"{file.file} cannot be read: {error.strerror}."
        raise RefusedError("BAD_ARGUMENT", message, do="make it readable, then try again.") from error
    if sha256(data).hexdigest() != file.sha256:
        raise RefusedError("BAD_ARGUMENT", f"{file.file} has just been changed.", do="look at it, then try again.")
    return data.decode("utf-8-sig")


def _edited(file: LoadedFile, written: dict[str, Json]) -> str:
    """The file's text with the new document, comments kept. Raises RefusedError where the loader would refuse it."""
    text = edited(_text(file), file.document.value, written)
    if written.get("status") == "active":
        text = re.sub(rf"^# {re.escape(DRAFT_LINE)}\r?\n", "", text, count=1, flags=re.MULTILINE)
    loaded = load_bytes(text.encode(), file=file.file, path=file.path)
    for each in (problem for problem in loaded.problems if problem.level == "error"):
        raise RefusedError(
            "BAD_ARGUMENT",
            f"{file.file} would not be sound any more ({each.pointer}: {each.message}); nothing was changed.",
            do=each.fix,
        )
    return text
