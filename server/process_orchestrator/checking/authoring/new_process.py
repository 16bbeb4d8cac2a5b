"""A process type made of contracts in a row: its input, its steps with proposed bindings, its output.

What no earlier step gives becomes an input of the process, so the skeleton is whole; what was guessed, or fits only
sometimes, is said in `x-todo`. Draws no conclusion about effects: approval, budget and what follows a failure are left
at their defaults for a person to look at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from process_orchestrator.checking.authoring.given import Given, GivenBindings, refuse_unknown
from process_orchestrator.checking.authoring.proposals import Output, Place, Proposal, places_of, proposals
from process_orchestrator.checking.authoring.transplant import Transplant
from process_orchestrator.checking.documents.definitions import Contract
from process_orchestrator.checking.importers.naming import free_name, one_line, valid_name
from process_orchestrator.checking.plans.fitting import Fitting, Verdict
from process_orchestrator.checking.schemas.projection import Presence, Shape, names_of, project, required_names
from process_orchestrator.core.facts.values import Effect

Json = Any

STEPS_MAX: Final = 30
OUTPUT_ROOT: Final = "$.steps"
ASKED: Final = "asked for"
"""Stands beside a verdict: the argument is an input of the process."""

SAID: Final = "as you say"
"""Stands in the place of a verdict: a person has named the binding, and the check of the whole says whether it fits."""


class Proposed(NamedTuple):
    """One binding of the skeleton, for the command to show."""

    step: str
    argument: str
    binding: str
    verdict: str


class Skeleton(NamedTuple):
    document: dict[str, Json]
    bindings: tuple[Proposed, ...]


def new_process(name: str, contracts: Sequence[Contract], *, given: GivenBindings | None = None) -> Skeleton:
    """The skeleton of a type that calls these contracts one after another. At most 30 of them.

    `given` are bindings that a person names; they come before what would be proposed. Raises RefusedError where one
    names a step or an argument that there is not.
    """
    return _Composer(name, given or {}).composed(contracts[:STEPS_MAX])


class _Composer:
    def __init__(self, name: str, given: GivenBindings) -> None:
        self._name, self._given = name, given
        self._fitting = Fitting()
        self._input: dict[str, Json] = {}
        self._required: list[str] = []
        self._moved = Transplant()
        self._todo: list[str] = []
        self._bindings: list[Proposed] = []
        self._used: set[str] = set()

    def composed(self, contracts: Sequence[Contract]) -> Skeleton:
        steps: list[dict[str, Json]] = []
        outputs: list[Output] = []
        for contract in contracts:
            step = self._step(contract, outputs, len(steps), previous=steps[-1]["id"] if steps else None)
            steps.append(step)
            outputs.append(Output(step["id"], contract, mapped="for_each" in step))
        for step, _ in self._given:
            if step not in {each.step for each in outputs}:
                raise refuse_unknown("the step", step, [each.step for each in outputs])
        result, schema = self._output(outputs)
        summary = one_line(f"Calls {', then '.join(each.name for each in contracts)}.")
        self._todo.insert(0, "/summary: say in one sentence which task this closes")
        document = {
            "process": self._name,
            "version": "1.0.0",
            "summary": summary,
            "input": {
                "type": "object",
                "additionalProperties": False,
                **({"required": self._required} if self._required else {}),
                "properties": self._input,
                **({"$defs": self._moved.definitions} if self._moved.definitions else {}),
            },
            "output": schema,
            "contracts": list(dict.fromkeys(f"{each.name}@^{each.version.partition('.')[0]}" for each in contracts)),
            "plan": {"steps": steps, "output": result},
            "x-todo": self._todo,
        }
        return Skeleton(document, tuple(self._bindings))

    def _step(self, contract: Contract, outputs: list[Output], index: int, *, previous: str | None) -> dict[str, Json]:
        own = free_name(_step_name(contract), {each.step for each in outputs})
        places = [places_of(each) for each in outputs]
        required = required_names(contract.input)
        mine = self._mine(own, contract)
        chosen: dict[str, Proposal] = {}
        for argument in names_of(Shape.of(contract.input)):
            if argument == contract.key_field or argument in mine:
                continue
            found = proposals(contract, argument, places, fitting=self._fitting)
            surely = [each for each in found if argument in required or each.score >= 0.95]
            if surely:
                chosen[argument] = surely[0]
        over = self._one_list(chosen, required)
        step: dict[str, Json] = {"id": own, "contract": contract.name}
        if over is not None:
            step["for_each"] = over.list_binding
            if contract.effect not in (Effect.NONE, Effect.READ):
                said = f"{contract.name} ({contract.effect}) is called for each of {over.list_binding}: is that meant?"
                self._todo.append(f"/plan/steps/{index}/for_each: {said}")
        step["in"] = {}
        for argument in names_of(Shape.of(contract.input)):
            if argument == contract.key_field:
                continue
            proposal = chosen.get(argument)
            if argument in mine:
                step["in"][argument] = self._say(own, contract, argument, mine[argument])
            elif proposal is not None:
                verdict = proposal.verdict_for(argument in required)
                step["in"][argument] = self._bind(f"/plan/steps/{index}/in/{argument}", proposal, verdict)
                self._bindings.append(Proposed(own, argument, proposal.place.binding, verdict.value))
            elif argument in required:
                step["in"][argument] = self._ask(own, contract, argument)
        bound = {each.place.step for each in chosen.values()} | {each.step for each in mine.values() if each.step}
        self._used |= bound
        if previous is not None and previous not in bound:
            step["after"] = [previous]
        return step

    def _mine(self, step: str, contract: Contract) -> dict[str, Given]:
        """What a person has said of a step, by argument."""
        mine = {argument: each for (named, argument), each in self._given.items() if named == step}
        known = [each for each in names_of(Shape.of(contract.input)) if each != contract.key_field]
        for argument in mine:
            if argument not in known:
                raise refuse_unknown(f"the argument of {contract.name}", argument, known)
        return mine

    def _say(self, step: str, contract: Contract, argument: str, given: Given) -> Json:
        """A binding as a person has said it. An input that is named so and not there yet is made for it."""
        if given.input is not None and len(given.path) == 2:
            schema = self._moved.part(_declared(contract, argument), contract.input)
            self._input.setdefault(given.input, schema)
            if argument in required_names(contract.input) and given.input not in self._required:
                self._required.append(given.input)
        self._bindings.append(Proposed(step, argument, given.text, SAID))
        return given.value

    def _one_list(self, chosen: dict[str, Proposal], required: tuple[str, ...]) -> Place | None:
        """The list that a step goes over, where arguments come from the items of one. Items of another are let go."""
        listed = {name: each.place for name, each in chosen.items() if each.place.over is not None}
        if not listed:
            return None
        lead = next((place for name, place in listed.items() if name in required), None)
        for name, place in listed.items():
            if lead is None or (place.step, place.over) != (lead.step, lead.over):
                del chosen[name]
        return lead

    def _bind(self, place: str, proposal: Proposal, verdict: Verdict) -> str:
        binding = proposal.place.binding
        if verdict is Verdict.SOMETIMES:
            why = proposal.fit.problem.message if proposal.fit.problem is not None else "it may be absent"
            self._todo.append(
                one_line(f"{place}: {binding} fits only sometimes ({why}): write when, default or on_failure for it")
            )
        if proposal.score < 0.9:
            self._todo.append(one_line(f"{place}: is {binding} what is meant? The names are only alike"))
        return binding

    def _ask(self, step: str, contract: Contract, argument: str) -> str:
        """An argument that nobody gives: an input of the process, shared where name and schema are the same."""
        schema = self._moved.part(_declared(contract, argument), contract.input)
        name = argument
        if name in self._input and not self._shared(name, schema):
            name = free_name(f"{step}_{argument}", self._input)
        self._input.setdefault(name, schema)
        if name not in self._required:
            self._required.append(name)
        binding = f'$.input["{name}"]' if valid_name(name) != name and not name.isidentifier() else f"$.input.{name}"
        self._bindings.append(Proposed(step, argument, binding, ASKED))
        return binding

    def _shared(self, name: str, schema: Json) -> bool:
        """Whether an input that is there will do for this argument too; the narrower of the two schemas stays."""
        there, wanted = ({"$defs": self._moved.definitions, "allOf": [each]} for each in (self._input[name], schema))
        if self._fitting.fit(there, wanted).verdict is Verdict.ALWAYS:
            return True
        if self._fitting.fit(wanted, there).verdict is Verdict.ALWAYS:
            self._input[name] = schema
            return True
        return False

    def _output(self, outputs: list[Output]) -> tuple[Json, dict[str, Json]]:
        """What nobody took further: of one step its whole output, of several each under the step's name."""
        open_ends = [
            each for each in outputs if each.step not in self._used and names_of(Shape.of(each.contract.output))
        ]
        ends = open_ends or outputs[-1:]
        moved = Transplant()
        if len(ends) == 1 and not ends[0].mapped:
            schema = moved.part(ends[0].contract.output, ends[0].contract.output)
            result: Json = f"{OUTPUT_ROOT}.{ends[0].step}.output"
        else:
            properties = {
                each.step: {"type": "array", "items": part} if each.mapped else part
                for each in ends
                for part in [moved.part(each.contract.output, each.contract.output)]
            }
            schema = {
                "type": "object",
                "additionalProperties": False,
                "required": list(properties),
                "properties": properties,
            }
            result = {each.step: f"{OUTPUT_ROOT}.{each.step}.output" for each in ends}
        return result, {**schema, **({"$defs": moved.definitions} if moved.definitions else {})}


def _declared(contract: Contract, argument: str) -> Json:
    """The schema of an argument as written, where it is written in one place; else what projection makes of it."""
    own = contract.input.get("properties", {}).get(argument)
    if own is not None:
        return own
    found = project(Shape.of(contract.input), (argument,))
    return found.shape.alternatives[0][0] if found.presence is not Presence.NEVER else True


def _step_name(contract: Contract) -> str:
    return valid_name(contract.name.rpartition(".")[2], otherwise="step")
