"""From files to a registry: read, check, keep the last good one where a file is broken.

Reads `contracts/**` and `agents_registry/**` of a home. What one file can say wrong is checked file by file; what
only all of them together can say wrong is checked once they are all read. No network, nothing executed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from errno import ENOENT
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Literal, overload

from msgspec.structs import replace

from process_orchestrator.checking.documents.definitions import Agent, Contract, Problem, ProcessType
from process_orchestrator.checking.documents.lines import Document
from process_orchestrator.checking.documents.pins import LOCK_FILE, Pins, read_pins
from process_orchestrator.checking.documents.shape import KINDS, kind_of, shaped
from process_orchestrator.checking.documents.yaml_reader import FILE_BYTES_MAX, read
from process_orchestrator.checking.loading import lint, lint_map
from process_orchestrator.checking.loading.meta import form_problems
from process_orchestrator.checking.loading.registry import LoadedFile, PlanKey, Registry
from process_orchestrator.checking.loading.report import CheckReport, check_report
from process_orchestrator.checking.plans.compile import CompiledProcess
from process_orchestrator.checking.plans.fitting import Fitting
from process_orchestrator.core.errors import DefinitionError

Json = Any
Definition = Contract | ProcessType | Agent

FOLDERS: Final = ("contracts", "agents_registry")
SUFFIXES: Final = (".yaml", ".yml", ".json")
SKIPPED_FOLDERS: Final = frozenset(("__pycache__", "node_modules"))


def load_home(home: Path, *, previous: Registry | None = None) -> Registry:
    """Every definition of a home. Files that did not change since `previous` are not read again.

    Never raises for what a file holds: it becomes a problem, and the last good definition of that file stays in force.
    """
    known = {} if previous is None else previous.files
    files = tuple(_load(path, home=home, known=known) for path in _definition_files(home))
    pins = read_pins(home)
    if previous is not None and len(files) == len(known) and all(known.get(each.file) is each for each in files):
        return previous if pins == previous.pins else _pinned(previous, pins, previous=previous)
    return _pinned(_assembled(files, previous=previous), pins, previous=previous)


def _pinned(registry: Registry, pins: Pins, *, previous: Registry | None) -> Registry:
    """The registry beside its lock. One that cannot be read is a problem, and the last good one stays in force."""
    if pins.broken is None:
        return registry.with_pins(pins)
    fix = "take back the change, or write it anew with `orchestrator agents pin`"
    problem = Document(file=LOCK_FILE, value=None).error("LOCK_BROKEN", "", pins.broken, fix)
    kept = pins if previous is None or previous.pins.broken is not None else previous.pins
    return registry.with_pins(kept, problems=(problem,))


def load_text(text: str, *, name: str = "<text>", registry: Registry) -> CheckReport:
    """Check one definition beside those in force, without storing anything."""
    data = text.encode("utf-8", "surrogatepass")
    loaded = load_bytes(data, file=name, path=name)
    others = [each for each in registry.files.values() if not _same_name(each.definition, loaded.definition)]
    in_force = [each.definition for each in others if each.definition is not None]
    code_made = _without(registry, in_force, loaded.definition)
    together = _assembled((*others, loaded), previous=None, beside=code_made, fitting=registry.fitting)
    return check_report(together, files=(name,))


@overload
def definition_from_dict(kind: Literal["contract"], data: Mapping[str, Json], file: str = ...) -> Contract: ...
@overload
def definition_from_dict(kind: Literal["process"], data: Mapping[str, Json], file: str = ...) -> ProcessType: ...
@overload
def definition_from_dict(kind: Literal["agent"], data: Mapping[str, Json], file: str = ...) -> Agent: ...
def definition_from_dict(kind: str, data: Mapping[str, Json], file: str = "<code>") -> Definition:
    """A checked definition made in code. An agent may have `transport: {kind: in_process}`, which no file may.

    Raises DefinitionError with every problem of the definition itself; other definitions are not looked at.
    """
    document = Document(file=file, value=dict(data))
    definition, problems = _checked(document, kind, path=file, in_code=True)
    if definition is None:
        raise DefinitionError(problems)
    return definition


def load_bytes(data: bytes, *, file: str, path: str) -> LoadedFile:
    """Read and check one file by itself. `file` is its name in problems, `path` where it lies."""
    unread = LoadedFile(
        file=file,
        path=path,
        sha256=sha256(data).hexdigest(),
        kind=None,
        definition=None,
        problems=(),
        document=Document(file=file, value=None),
    )
    try:
        document = read(data, file=file)
    except DefinitionError as error:
        return replace(unread, problems=error.problems)
    kind = kind_of(document.value)
    problems = _kind_problems(document, kind)
    definition: Definition | None = None
    if kind is not None and not problems:
        definition, problems = _checked(document, kind, path=path)
    return replace(unread, kind=kind, definition=definition, problems=problems, document=document)


def _checked(
    document: Document, kind: str, *, path: str, in_code: bool = False
) -> tuple[Definition | None, tuple[Problem, ...]]:
    form = form_problems(_as_in_file(document) if in_code and kind == "agent" else document, kind)
    if form:
        return None, form
    definition = shaped(kind, document.value, path=path)
    if isinstance(definition, Contract):
        problems = lint.contract_problems(document, definition)
    elif isinstance(definition, ProcessType):
        problems = lint.process_problems(document, definition)
    else:
        problems = lint.agent_problems(document, definition)
    return (None if _broken(problems) else definition), problems


def _as_in_file(document: Document) -> Document:
    """An in-process agent has no transport that a file could name: check the rest of it."""
    value = document.value
    transport: Json = value.get("transport")
    if isinstance(transport, dict) and transport.get("kind") == "in_process":
        value = {**value, "transport": {"kind": "human", "role": "in_process"}}
    return Document(file=document.file, value=value, lines=document.lines)


def _kind_problems(document: Document, kind: str | None) -> tuple[Problem, ...]:
    if kind is None:
        message = "the file must name exactly one of contract:, process: and agent:"
        return (document.error("KIND_UNKNOWN", "", message, "begin with contract: NAME, process: NAME or agent: NAME"),)
    named = next((each for each in KINDS if f".{each}." in Path(document.file).name), None)
    if named is not None and named != kind:
        message = f"the file is named .{named} and holds a {kind}"
        return (document.error("KIND_MISMATCH", f"/{kind}", message, f"rename it to *.{kind}.yaml"),)
    return ()


def _definition_files(home: Path) -> Iterator[Path]:
    """Every `*.contract.yaml`, `*.process.yaml`, `*.agent.yaml`, in stable order; links to folders not followed."""
    for folder in FOLDERS:
        for place, folders, names in os.walk(home / folder, followlinks=False):
            folders[:] = sorted(each for each in folders if each not in SKIPPED_FOLDERS and not each.startswith("."))
            for name in sorted(names):
                if is_definition(name):
                    yield Path(place) / name


def is_definition(name: str) -> bool:
    """Whether a file of this name is read as a definition."""
    path = Path(name)
    return path.suffix in SUFFIXES and not name.startswith(".") and path.stem.endswith(tuple(f".{k}" for k in KINDS))


def _load(path: Path, *, home: Path, known: Mapping[str, LoadedFile]) -> LoadedFile:
    file = path.relative_to(home).as_posix()
    try:
        if not path.is_file():  # a pipe would never end
            raise FileNotFoundError(ENOENT, "no regular file")
        with path.open("rb") as opened:
            data = opened.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        unread = load_bytes(b"", file=file, path=str(path))
        fix = "make it readable for the user that runs the server"
        problem = unread.document.error("FILE_UNREADABLE", "", f"the file cannot be read: {error.strerror}", fix)
        return replace(unread, problems=(problem,))
    before = known.get(file)
    if before is not None and before.sha256 == sha256(data).hexdigest():
        return before
    return load_bytes(data, file=file, path=str(path))


def _assembled(
    files: tuple[LoadedFile, ...],
    *,
    previous: Registry | None,
    beside: Iterable[Definition] = (),
    fitting: Fitting | None = None,
) -> Registry:
    """The registry of all files: what is in force, and every problem, those between files included."""
    fitting = fitting or (Fitting() if previous is None else previous.fitting)
    kept = {} if previous is None else _in_force(previous)
    files = tuple(sorted(files, key=lambda each: each.file not in kept))  # of two with one name, the old one stays
    chosen = {each.file: each.definition or kept.get(each.file) for each in files}
    sound, twice = lint_map.unique(files, chosen)
    definitions = [*sound.values(), *beside]
    trial = _registry(definitions, files=files, fitting=fitting)
    problems = [problem for each in files for problem in each.problems] + list(twice)
    problems += lint_map.map_problems(trial, {each.file: each for each in files if each.file in sound})
    plans: dict[PlanKey, CompiledProcess] = {}
    for file, definition in tuple(sound.items()):
        if not isinstance(definition, ProcessType) or not _broken(trial.plan(definition).problems):
            continue
        before = kept.get(file)  # the plan does not hold: what was in force stays, with the plan it had
        del sound[file]
        if isinstance(before, ProcessType) and previous is not None:
            sound[file] = before
            plans |= previous.plans_of(before)
    known = [plans, *(trial.plans_of(each) for each in sound.values() if isinstance(each, ProcessType))]
    compiled = {key: plan for each in reversed(known) for key, plan in each.items()}
    in_force = [*sound.values(), *beside]
    return _registry(in_force, files=files, fitting=fitting, problems=problems, plans=compiled)


def _registry(
    definitions: list[Definition],
    *,
    files: tuple[LoadedFile, ...],
    fitting: Fitting,
    problems: list[Problem] | None = None,
    plans: dict[PlanKey, CompiledProcess] | None = None,
) -> Registry:
    return Registry(
        contracts=[each for each in definitions if isinstance(each, Contract)],
        processes=[each for each in definitions if isinstance(each, ProcessType)],
        agents=[each for each in definitions if isinstance(each, Agent)],
        problems=sorted(problems or (), key=lambda each: (each.file, each.line, each.pointer)),
        plans=plans,
        files=sorted(files, key=lambda each: each.file),
        fitting=fitting,
    )


def _in_force(registry: Registry) -> dict[str, Definition]:
    """Definitions in force by the file that they came from."""
    whole: tuple[Definition, ...] = (*registry.contracts, *registry.processes, *registry.agents)
    by_path = {each.source.path: each for each in whole}
    return {file: by_path[each.path] for file, each in registry.files.items() if each.path in by_path}


def _without(registry: Registry, filed: list[Definition], replaced: Definition | None) -> list[Definition]:
    """Definitions in force that came from no file, but for the one that is being replaced."""
    whole: tuple[Definition, ...] = (*registry.contracts, *registry.processes, *registry.agents)
    shas = {each.source.sha256 for each in filed}
    return [each for each in whole if each.source.sha256 not in shas and not _same_name(each, replaced)]


def _same_name(one: Definition | None, other: Definition | None) -> bool:
    if one is None or other is None or type(one) is not type(other) or one.name != other.name:
        return False
    return isinstance(one, Agent) or isinstance(other, Agent) or one.version == other.version


def _broken(problems: tuple[Problem, ...]) -> bool:
    return any(problem.level == "error" for problem in problems)
