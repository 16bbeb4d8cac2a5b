"""The use cases about definitions: describe what there is, check a payload, a text, or all files. Stores nothing."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import msgspec
from anyio import to_thread

from process_orchestrator.checking.documents.definitions import Contract
from process_orchestrator.checking.loading.loader import load_text
from process_orchestrator.checking.loading.report import check_report
from process_orchestrator.checking.plans.compiled import CompiledContract
from process_orchestrator.checking.schemas.validate import Validator, check_value
from process_orchestrator.core.errors import BodyError, EngineError, RefusedError, StorageError
from process_orchestrator.usecases.identifiers import read_name, shown
from process_orchestrator.usecases.refusals import condition_view, problem_views, unknown, unreadable
from process_orchestrator.usecases.submitting import find_type
from process_orchestrator.views import describe_view
from process_orchestrator.views.models import Caller, CheckReportView, Description, Validation

if TYPE_CHECKING:
    from process_orchestrator.checking.documents.definitions import ProcessType
    from process_orchestrator.checking.loading.registry import Registry
    from process_orchestrator.checking.loading.report import CheckReport
    from process_orchestrator.usecases.surroundings import Workplace
    from process_orchestrator.views.definition_models import HistoryRow

DEFINITION_BYTES_MAX: Final = 1_000_000
DIRECTIONS: Final = ("input", "output")


class Definitions:
    def __init__(self, workplace: Workplace) -> None:
        self._registry, self._around = workplace.registry, workplace.surroundings
        self._workplace = workplace

    async def describe(self, process_type: str | None, contract: str | None, agent: str | None) -> Description:
        named = [name for name in (process_type, contract, agent) if name]
        if len(named) > 1:
            raise RefusedError(
                "BAD_ARGUMENT", "more than one name is given.", do="give process_type, contract or agent, or none."
            )
        registry = self._registry()
        known = describe_view.Known(
            health=await self._around.agents_health(),
            models=self._around.models,
            server_floor=self._around.server_floor,
        )
        if process_type:
            found = find_type(process_type, registry)
            # What estimates is loaded where it is needed: most of who starts never asks for a price.
            from process_orchestrator.usecases.estimating import Estimator  # noqa: PLC0415

            history: list[HistoryRow] = []
            with suppress(EngineError, StorageError):  # what a type is, is said without its runs too
                history = await Estimator(self._workplace).rows(found.name, Caller())
            return describe_view.one_type(found, registry, replace(known, history=history))
        if contract:
            return describe_view.one_contract(_contract(contract, registry), registry, known)
        if agent:
            return self._agent(agent, registry, known)
        return describe_view.index(registry, known)

    def _agent(self, name: str, registry: Registry, known: describe_view.Known) -> Description:
        found = registry.agent(read_name(name).lower())
        if found is None:
            raise unknown(registry, "agent", name)
        return describe_view.one_agent(found, registry, known)

    def validate_payload(self, contract: str, version: str | None, direction: str | None, payload: Any) -> Validation:
        """Whether a payload keeps a contract, or a process type, which is a contract itself."""
        word = (direction or "").strip().lower()
        if word not in DIRECTIONS:
            raise RefusedError(
                "BAD_ARGUMENT", f"there is no direction {shown(direction or '')}.", do="use input or output."
            )
        registry = self._registry()
        reference = f"{contract}@{version}" if version else contract
        found = registry.process(read_name(reference)) or _contract(reference, registry)
        try:
            check_value(payload)
        except BodyError as error:
            raise unreadable("the payload", error) from error
        errors = problem_views(Validator(found.input if word == "input" else found.output).problems(payload))
        if not errors and word == "input" and isinstance(found, Contract):
            failure = CompiledContract(found).requires_failed(payload)
            errors = [condition_view(failure)] if failure is not None else []
        return Validation(valid=not errors, errors=errors, warnings=_unsaid(found) if word == "output" else [])

    async def validate_text(self, definition: str) -> Validation:
        """The `check` report of a definition's text, beside those in force.

        Made in a thread: to compare costly schemas a helper process may have to be waited for.
        """
        if len(definition.encode("utf-8", "surrogatepass")) > DEFINITION_BYTES_MAX:
            raise RefusedError(
                "TOO_LARGE", "the definition is over 1 MB.", do="send one contract, agent or process type."
            )
        registry = self._registry()
        report = report_view(await to_thread.run_sync(lambda: load_text(definition, registry=registry)))
        return Validation(valid=report.ok, report=report)

    def check(self) -> CheckReportView:
        return report_view(check_report(self._registry()))


def report_view(report: CheckReport) -> CheckReportView:
    return CheckReportView.model_validate(msgspec.to_builtins(report))


def _contract(reference: str, registry: Registry) -> Contract:
    """A contract by reference. Raises RefusedError UNKNOWN_CONTRACT with the nearest three."""
    name = read_name(reference)
    found = registry.contract(name) or registry.contract(name.lower())
    if found is not None:
        return found
    raise unknown(registry, "contract", reference)


def _unsaid(found: Contract | ProcessType) -> list[str]:
    """What cannot be said of an output without the input it answers."""
    if not isinstance(found, Contract) or not found.ensures:
        return []
    names = ", ".join(condition.id for condition in found.ensures)
    return [f"Only the schema was checked; an answer must also fulfil, compared with its input: {names}."]
