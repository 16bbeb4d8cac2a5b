"""What an importer yields, and what bringing it in has done. Data only: nothing is read or written here."""

from __future__ import annotations

from typing import Any

from process_orchestrator.core.facts.values import Fact

Json = Any


class Todo(Fact, frozen=True, kw_only=True):
    """One thing that a person must decide: where in the definition, and what the question is."""

    pointer: str  # into the contract or agent document; "" for the whole
    text: str

    @property
    def line(self) -> str:
        """As it stands in the file: `/effects/kind: does a POST to /orders …?`."""
        return f"{self.pointer}: {self.text}" if self.pointer else self.text


class DraftContract(Fact, frozen=True, kw_only=True):
    """One capability as the source tells it."""

    key: str  # names it at the source for ever: `GET /orders/{id}`, a tool's name, a skill's id
    name: str  # what to call it; made valid and put behind the agent's name: `pets.list_pets`
    document: dict[str, Json]  # version, summary, input, output, effects, …: a contract but for name, status and todo
    bind: dict[str, Json]  # how the agent's `serves` binds it
    todo: tuple[Todo, ...] = ()


class Draft(Fact, frozen=True, kw_only=True):
    """A source read whole: one agent and the contracts that it keeps."""

    kind: str  # openapi | mcp | a2a
    source: str  # where it came from, fit to be shown and kept: no credentials in it, no folders of this machine
    agent: str  # what to call the agent; made valid
    document: dict[str, Json]  # summary, transport, limits, …: an agent but for name and serves
    contracts: tuple[DraftContract, ...]
    todo: tuple[Todo, ...] = ()  # about the agent
    known: tuple[str, ...] = ()  # keys of all that the source offers, chosen or not: what is missing here is gone there
    only: tuple[str, ...] = ()  # what was chosen with --only; none: everything
    left_out: tuple[str, ...] = ()  # what could not be taken over, each with its reason


class Change(Fact, frozen=True, kw_only=True):
    """One difference that an update found. `how`: taken (from the source), kept (a person's), conflict, gone, new."""

    file: str
    pointer: str
    how: str
    message: str


class WrittenFile(Fact, frozen=True, kw_only=True):
    """One file of an import. `action`: written, updated, unchanged, removed (by a person, and left so)."""

    file: str  # relative to the home
    action: str
    name: str  # of the contract or agent
    todo: tuple[str, ...] = ()


class Outcome(Fact, frozen=True, kw_only=True):
    """What bringing a draft in has done, for the command to print."""

    agent: str
    source: str
    files: tuple[WrittenFile, ...]
    changes: tuple[Change, ...] = ()
    left_out: tuple[str, ...] = ()
