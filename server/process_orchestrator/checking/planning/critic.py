"""What a proposed plan says too much, mended by rule before it is judged: nothing is added, nothing is rebound.

Left out are: an optional value that refers to a step which is not in the plan; a second step that is word for word the
first, or one that is kept from before; a step that changes nothing and whose output nobody uses. Each is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec.structs import replace

from process_orchestrator.checking.documents.definitions import Plan, Step
from process_orchestrator.checking.planning.filling import step_of
from process_orchestrator.checking.schemas.paths import parse_path, write_path

if TYPE_CHECKING:
    from process_orchestrator.checking.planning.offers import Offers

Json = Any


class Dropped(NamedTuple):
    """What was left out of a proposal, and why."""

    what: str
    why: str


class Critic:
    """`quiet` are the steps that change nothing and that no person does: nobody misses them if nobody reads them."""

    def __init__(self, offers: Offers, *, quiet: frozenset[str]) -> None:
        self._needed = {(each.id, slot.name) for each in offers.steps for slot in each.slots if slot.needed} | {
            ("output", slot.name) for slot in offers.goal if slot.needed
        }
        self._idle = quiet

    def mend(self, plan: Plan, *, kept: Sequence[Step] = ()) -> tuple[Plan, tuple[Dropped, ...]]:
        """The plan without what it says too much. Kept steps stay."""
        dropped: list[Dropped] = []
        fixed = {each.id for each in kept}
        plan = self._without_dangling(plan, dropped)
        plan = _without_twins(plan, fixed, dropped)
        return self._without_idle(plan, fixed, dropped), tuple(dropped)

    def _without_dangling(self, plan: Plan, dropped: list[Dropped]) -> Plan:
        known = {each.id for each in plan.steps}

        def kept(step: str, values: Mapping[str, Json]) -> dict[str, Json]:
            found: dict[str, Json] = {}
            for name, value in values.items():
                source = step_of(value)
                if source is not None and source not in known and (step, name) not in self._needed:
                    dropped.append(Dropped(f"{step}.{name}", f"it is optional, and step `{source}` is not in the plan"))
                else:
                    found[name] = value
            return found

        steps = tuple(replace(each, input=kept(each.id, each.input or {})) for each in plan.steps)
        return replace(plan, steps=steps, output=kept("output", plan.output))

    def _without_idle(self, plan: Plan, fixed: set[str], dropped: list[Dropped]) -> Plan:
        while True:
            used = {source for each in plan.steps for source in _sources(each, but=each.id)}
            used |= {source for value in plan.output.values() if (source := step_of(value))}
            idle = [each for each in plan.steps if each.id in self._idle and each.id not in used | fixed]
            if not idle:
                return plan
            names = {each.id for each in idle}
            dropped += [Dropped(name, "nobody uses what it gives, and it changes nothing") for name in sorted(names)]
            plan = replace(plan, steps=tuple(each for each in plan.steps if each.id not in names))


def _without_twins(plan: Plan, fixed: set[str], dropped: list[Dropped]) -> Plan:
    """One of each: references to a second that is the same lead to the first."""
    while True:
        first: dict[str, Step] = {}
        twins: dict[str, str] = {}
        for each in plan.steps:
            key = repr((each.contract, sorted((each.input or {}).items(), key=repr), each.for_each))
            if key in first and each.id not in fixed:
                twins[each.id] = first[key].id
            else:
                first.setdefault(key, each)
        if not twins:
            return plan
        dropped += [Dropped(name, f"it is the same as step `{other}`") for name, other in twins.items()]
        steps = [_redirected(each, twins) for each in plan.steps if each.id not in twins]
        output = {name: _moved(value, twins) for name, value in plan.output.items()}
        plan = replace(plan, steps=tuple(steps), output=output)


def _redirected(step: Step, twins: Mapping[str, str]) -> Step:
    arguments = {name: _moved(value, twins) for name, value in (step.input or {}).items()}
    return replace(step, input=arguments, for_each=_moved(step.for_each, twins))


def _moved(value: Json, twins: Mapping[str, str]) -> Json:
    name = step_of(value)
    if name is None or name not in twins:
        return value
    root, _, *rest = parse_path(value)
    return write_path((root, twins[name], *rest))


def _sources(step: Step, *, but: str) -> set[str]:
    values = [*(step.input or {}).values(), step.for_each]
    return {source for value in values if (source := step_of(value)) and source != but}
