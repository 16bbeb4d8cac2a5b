"""ClassifyTask: which process type a task is for, and its input. By rule, and where rules are unsure by a model.

A model's word counts where it is sure of it by its host's own figures, or says the same twice; and of an input only
what stands in the task. Whatever is left open goes to a person, with what was found so far.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from process_orchestrator.checking.schemas.validate import Validator, encode_body, ref_of
from process_orchestrator.checking.tasks.extraction import Extraction
from process_orchestrator.checking.tasks.intake import Classified, addresses_its_reader, classify
from process_orchestrator.checking.tasks.requirements import held_out, read_requirements, without_requirements
from process_orchestrator.checking.tasks.starting import newest_of, startable
from process_orchestrator.core.errors import ModelError
from process_orchestrator.core.facts.events import StageFailed, TaskClassified
from process_orchestrator.core.facts.values import Blame, Stage, Tier, Usage
from process_orchestrator.core.ports import Body, Performed
from process_orchestrator.core.thinking import UNASKED
from process_orchestrator.llm.bounds import fits
from process_orchestrator.performing.escalation_words import NO_INPUT
from process_orchestrator.performing.stages.intake_found import Found, detail_of
from process_orchestrator.performing.stages.intake_prompts import NONE_OF_THESE, input_prompt, type_prompt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from process_orchestrator.checking.documents.definitions import ProcessType
    from process_orchestrator.checking.loading.registry import Registry
    from process_orchestrator.checking.tasks.extraction import Reading
    from process_orchestrator.checking.tasks.starting import Startable
    from process_orchestrator.core.facts.commands import ClassifyTask
    from process_orchestrator.llm.port import Answer, Prompt, Spending
    from process_orchestrator.performing.stages.surroundings import StageParts

Json = Any

SURE: Final = 0.8
LIKELY: Final = 0.4
"""Least probability of the words that name a type, where the model's host tells it. What is likely is asked again."""

ANOTHER_TEMPERATURE: Final = 0.7
"""Of the second sample, where no probability is told: what is sure is said again."""

TYPES_SHOWN_MAX: Final = 30
PROBLEMS_KEPT: Final = 5
MESSAGE_MAX: Final = 300


class _OpenError(Exception):
    """Intake ends here, and a person goes on."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


@dataclass
class _Work:
    """One command on its way: what was spent, and what is known so far, in case that nothing comes of it."""

    found: Found
    marked: str  # the task with marks for what it asks of the process: that is read by rule
    words: dict[str, str]
    usage: Usage = field(default_factory=Usage)
    asked: bool = False
    offered: tuple[Json, ...] = ()  # the candidates that the model chose from
    supported: bool = True  # by a word of the type, or by a value of its input: what else is likely alone is not taken

    @property
    def about(self) -> str:
        return without_requirements(self.marked)

    def know(self, **more: Json) -> None:
        self.found = replace(self.found, **more)

    def bill(self, spent: Spending) -> None:
        self.usage = _sum(self.usage, spent.usd_micros, spent.tokens, spent.ms, first=not self.asked)
        self.asked = True


class Intake:
    def __init__(self, parts: StageParts) -> None:
        self._parts = parts

    async def classify(self, command: ClassifyTask) -> Performed:
        """TaskClassified, or StageFailed with the reason and what a person needs to choose."""
        task = "" if command.task is None else (await self._parts.bodies.data(command.task)).decode(errors="replace")
        now = datetime.fromtimestamp(self._parts.clock.now_ms() / 1000, tz=UTC)
        work = _Work(Found(task=task), *held_out(task, read_requirements(task, now).requirements))
        try:
            if command.process_type is not None:
                return await self._input_alone(command, work)
            return await self._whole(command, work)
        except ModelError as error:
            return self._unanswered(error, work)
        except _OpenError as gap:
            return self._open(gap, work)

    # --- the two ways ------------------------------------------------------------------------------------------

    async def _input_alone(self, command: ClassifyTask, work: _Work) -> Performed:
        """The type is known and pinned; only its input is to be found."""
        pin = command.process_type
        assert pin is not None  # the caller has looked
        written = await self._parts.pinned.document(pin.sha256)
        work.know(process_type=pin.name)
        body = await self._read_input(work, schema=written["input"], summary=str(written.get("summary", "")))
        event = TaskClassified(
            at=self._parts.clock.now_ms(), process_type=pin, input=body.ref, by="model", usage=work.usage
        )
        return Performed(event=event, bodies=(body,))

    async def _whole(self, command: ClassifyTask, work: _Work) -> Performed:
        registry = self._parts.registry()
        found, by = await self._type(work, registry)
        checked = self._startable(found, registry)
        work.know(process_type=found.name, candidates=())
        given = await self._given(command, checked, work)
        body = given or await self._read_input(work, schema=found.input, summary=found.summary)
        event = TaskClassified(
            at=self._parts.clock.now_ms(),
            process_type=checked.pin,
            plan=checked.facts,
            input=body.ref,
            by=by,
            usage=work.usage,
            budget=checked.budget,
            limits=checked.limits,
        )
        return Performed(event=event, bodies=(body,), definitions=checked.definitions)

    # --- the type ----------------------------------------------------------------------------------------------

    async def _type(self, work: _Work, registry: Registry) -> tuple[ProcessType, str]:
        ruled = classify(registry, work.found.task)
        if isinstance(ruled, Classified):
            return ruled.process_type, "rules"
        if self._parts.model.tier(Tier.LIGHT) is None:
            raise ModelError("no_model", "no model is set up that reads tasks: set [models.light]")
        types = _shown(newest_of(registry), [each.name for each in ruled.candidates])
        work.offered = tuple(_candidate(each) for each in types)
        work.know(candidates=work.offered)
        if not types:
            raise _OpenError("none_of_these", "no process type is defined in this home")
        if addresses_its_reader(work.found.task):
            raise _OpenError("unsure", "the task gives orders to whoever reads it, so nobody but a person sorts it")
        said, sure = await self._choice(work, types)
        if said == NONE_OF_THESE:
            raise _OpenError("none_of_these", "the model finds no process type that is made for this task")
        work.supported = sure or any(each.name == said and each.score > 0 for each in ruled.candidates)
        return next(each for each in types if each.name == said), "model"

    async def _choice(self, work: _Work, types: list[ProcessType]) -> tuple[str, bool]:
        """The type that the model names, or that it finds none, and whether it is sure of it."""
        answer = await self._ask(work, type_prompt(types, work.about))
        said, share = _named(answer, types), answer.probability
        if said == NONE_OF_THESE or (share is not None and share >= SURE):
            return said, True
        work.know(said=said)
        if share is not None and share < LIKELY:
            raise _OpenError("unsure", f"the model says {said}, and is sure of it by {round(share * 100)} % only")
        # Asked in another order: what was only the first of a list, or a chance, is not said again.
        temperature = 0.0 if share is not None else ANOTHER_TEMPERATURE
        again = await self._ask(work, type_prompt(types[::-1], work.about, temperature=temperature))
        other = _named(again, types)
        if other != said or (again.probability is not None and again.probability < LIKELY):
            raise _OpenError("unsure", f"asked twice, the model says {said} and {other}, and is sure of neither")
        return said, share is None or (again.probability or 0) >= SURE

    def _startable(self, found: ProcessType, registry: Registry) -> Startable:
        checked = startable(found, registry, server_floor=self._parts.server_floor)
        if checked.problem is not None:
            raise _OpenError("unusable", f"process type {found.name} has errors: {checked.problem}")
        if checked.facts is None and self._parts.model.tier(Tier.STRONG) is None:
            raise _OpenError("no_model", f"process type {found.name} has no fixed plan, and no model is set up to plan")
        return checked

    # --- the input ---------------------------------------------------------------------------------------------

    async def _given(self, command: ClassifyTask, checked: Startable, work: _Work) -> Body | None:
        """The input that came with the task, once it keeps the schema of the type."""
        if command.input is None:
            return None
        problems = checked.input_problems(await self._parts.bodies.value(command.input))
        if problems:
            work.know(missing=tuple(each.pointer[1:] or each.message for each in problems[:PROBLEMS_KEPT]))
            raise _OpenError(NO_INPUT, f"the input does not fit {checked.process_type.name}: {problems[0].message}")
        return Body(ref=command.input, data=await self._parts.bodies.data(command.input))

    async def _read_input(self, work: _Work, *, schema: dict[str, Json], summary: str) -> Body:
        if not Validator(schema).problems({}) and not schema.get("properties"):
            return _body({})
        extraction = Extraction(schema, work.marked, work.words)
        prompt = input_prompt(summary, extraction.fields, extraction.passages, extraction.asked(), work.about)
        reading: Reading = extraction.read({} if extraction.silent else (await self._ask(work, prompt)).data)
        if not (work.supported or _says_more(reading.value, work.about)):
            name = work.found.process_type
            work.know(process_type=None, candidates=work.offered)
            raise _OpenError("unsure", f"the model finds {name} likely, and nothing that the task says speaks for it")
        if reading.missing:
            work.know(read=reading.value, dropped=reading.dropped, missing=reading.missing)
            lacks = ", ".join(reading.missing)
            raise _OpenError(NO_INPUT, f"{work.found.process_type} needs {lacks}, which the task does not say")
        return _body(reading.value)

    async def _ask(self, work: _Work, prompt: Prompt) -> Answer:
        if not fits(prompt, Stage.INTAKE):
            raise _OpenError("too_large", "the task is too long to be read by a model within its bounds")
        answer = await self._parts.model.complete(prompt, Tier.LIGHT)
        work.bill(answer.spent)
        return answer

    # --- what comes of nothing ---------------------------------------------------------------------------------

    def _unanswered(self, error: ModelError, work: _Work) -> Performed:
        """A model that failed, with all that was spent before."""
        performed = self._parts.failed(Stage.INTAKE, error)
        event = performed.event
        assert isinstance(event, StageFailed)  # it makes nothing else
        last = event.usage
        if work.asked and last.usd_micros is None and error.code in UNASKED:
            last = replace(last, usd_micros=0)  # nobody billed it, and what was billed before stays known
        usage = _sum(work.usage, last.usd_micros, last.tokens, last.ms, first=not work.asked)
        body = detail_of(str(event.message), work.found)
        return Performed(event=replace(event, usage=usage, detail=body.ref), bodies=(*performed.bodies, body))

    def _open(self, gap: _OpenError, work: _Work) -> Performed:
        message = self._parts.secrets.mask_cut(gap.message)[:MESSAGE_MAX]
        body = detail_of(message, work.found)
        event = StageFailed(
            at=self._parts.clock.now_ms(),
            stage=Stage.INTAKE,
            code=gap.code,
            blame=Blame.POLICY if gap.code in {"no_model", "too_large"} else Blame.CALLER,
            message=message,
            detail=body.ref,
            usage=work.usage,
        )
        return Performed(event=event, bodies=(body,))


def _says_more(given: dict[str, Json], task: str) -> bool:
    """Whether an input that was read holds more than the task itself: an order's number, a path, an amount."""
    return any(not (isinstance(value, str) and value.strip() == task.strip()) for value in given.values())


def _named(answer: Answer, types: Sequence[ProcessType]) -> str:
    """The type that an answer names. Whoever stands behind the port, no other word is taken."""
    said = answer.data.get("process_type") if isinstance(answer.data, dict) else None
    if said != NONE_OF_THESE and said not in [each.name for each in types]:
        raise ModelError("output_mismatch", "the model names a process type that was not offered")
    return str(said)


def _shown(types: Sequence[ProcessType], ranked: Sequence[str]) -> list[ProcessType]:
    """The types to choose among, always in one order: what a host has read once it need not read again."""
    if len(types) <= TYPES_SHOWN_MAX:
        return list(types)
    places = {name: place for place, name in enumerate(ranked)}
    return sorted(types, key=lambda each: (places.get(each.name, len(places)), each.name))[:TYPES_SHOWN_MAX]


def _candidate(process_type: ProcessType) -> dict[str, Json]:
    required = [str(name) for name in process_type.input.get("required", ())]
    return {"process_type": process_type.name, "summary": process_type.summary, "input_required": required}


def _body(value: Json) -> Body:
    data = encode_body(value)
    return Body(ref=ref_of(data), data=data)


def _sum(usage: Usage, usd_micros: int | None, tokens: int | None, ms: int, *, first: bool) -> Usage:
    """Two bills as one; where the price of one is unknown, so is that of both."""
    if first:
        return Usage(usd_micros=usd_micros, tokens=tokens, ms=ms)
    known = usage.usd_micros is not None and usd_micros is not None
    return Usage(
        usd_micros=(usage.usd_micros or 0) + (usd_micros or 0) if known else None,
        tokens=None if usage.tokens is None and tokens is None else (usage.tokens or 0) + (tokens or 0),
        ms=usage.ms + ms,
    )
