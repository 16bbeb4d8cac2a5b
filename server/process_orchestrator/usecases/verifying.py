"""`contracts verify`: does an agent keep a contract? Calls it with examples, generated and broken inputs, and twice.

Its answers are judged by the room that judges them in a process. Nothing is stored, and no process is started. A
contract that writes is called only where that was allowed.
"""

from __future__ import annotations

import re
import shlex
import time
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import msgspec

from process_orchestrator.checking.documents.masking import cut, mask, sensitive
from process_orchestrator.checking.documents.model_agents import KIND
from process_orchestrator.checking.loading.registry import Registry
from process_orchestrator.checking.plans.compiled import CompiledContract
from process_orchestrator.checking.schemas.validate import encode_body, pointer_of, read_stored
from process_orchestrator.core.errors import AgentCallError, RefusedError
from process_orchestrator.core.facts.values import Effect, Fact, FailureClass
from process_orchestrator.performing.answer import renamed
from process_orchestrator.performing.failure import Failed, clean
from process_orchestrator.performing.http_request import laid_out
from process_orchestrator.performing.judging import judge, within_the_contract
from process_orchestrator.performing.links import AgentCall
from process_orchestrator.usecases.refusals import unknown
from process_orchestrator.usecases.verify_cases import Case, CaseMaker, Check
from process_orchestrator.views.verify_view import CheckTotals, Measured, VerifiedCase, VerifyView

if TYPE_CHECKING:
    from collections.abc import Iterable

    from process_orchestrator.checking.documents.definitions import Agent, Contract, Serve
    from process_orchestrator.performing.agent_pool import AgentPool, Answer

Json = Any

CASES_MAX: Final = 1_000
UNANSWERED_MAX: Final = 3
"""Calls in a row without any answer after which the rest of a check is skipped: each may take the whole timeout."""

NO_ANSWER: Final = frozenset({"timeout", "lost", "unreachable"})
COMMAND_CHARACTERS_MAX: Final = 6_000
NOT_CALLED: Final = frozenset({"human"})

CRASHED: Final = re.compile(
    r"Traceback|\b(?!Validation|Value|Tool|Mcp)[A-Z]\w*(?:Error|Exception)\b|has no attribute|object is not"
    r"|out of range$|division by zero|\bpanic\b|status 5\d\d|(?i:internal (?:server )?error)|Error executing tool \S+$"
)
"""Words of a program that broke; what such a text says of the input is chance."""


class VerifyRequest(Fact, kw_only=True):
    """What is asked. `only` names one case; `options` are those by which this home was named, for commands shown."""

    contract: str
    agent: str | None = None
    count: int = 30
    seed: int = 0
    allow_writes: bool = False
    only: str | None = None
    options: str = ""


class _Seen(Fact, kw_only=True):
    """What came of one call."""

    ms: int
    data: bytes | None = None
    failed: Failed | None = None


class Chosen(Fact, kw_only=True):
    """Whom to call, and for what."""

    contract: Any  # a Contract; msgspec would read its definition anew
    agent: Any
    serve: Any


def choose(registry: Registry, request: VerifyRequest) -> Chosen:
    """The contract and the agent meant. Raises RefusedError, also where a write was not allowed."""
    contract = registry.contract(request.contract)
    if contract is None:
        raise unknown(registry, "contract", request.contract)
    if not 1 <= request.count <= CASES_MAX:
        raise RefusedError("BAD_ARGUMENT", f"{request.count} cases cannot be made.", do=f"ask for 1 to {CASES_MAX}.")
    agent, serve = _serving(registry, contract, request.agent)
    if contract.effect in {Effect.WRITE, Effect.IRREVERSIBLE} and not request.allow_writes:
        raise RefusedError(
            "BAD_ARGUMENT",
            f"{contract.name} has the effect {contract.effect}, and every case would have it; nothing was called.",
            do="point the agent at data that may be lost, then add --allow-writes.",
        )
    return Chosen(contract=contract, agent=agent, serve=serve)


def patient(chosen: Chosen) -> Registry:
    """A registry of the one agent, whose circuit never opens: a failure must not hide those after it."""
    agent: Agent = chosen.agent
    circuit = msgspec.structs.replace(agent.circuit, failures=1_000_000)
    return Registry.of(contracts=(chosen.contract,), agents=(msgspec.structs.replace(agent, circuit=circuit),))


def _serving(registry: Registry, contract: Contract, named: str | None) -> tuple[Agent, Serve]:
    if named is not None and registry.agent(named) is None:
        raise unknown(registry, "agent", named)
    serving = [pair for pair in registry.serving(contract) if pair[0].transport.kind not in NOT_CALLED]
    serving = [pair for pair in serving if "process" not in pair[1].bind]
    found = [pair for pair in serving if named is None or pair[0].name == named]
    if len(found) == 1:
        return found[0]
    names = ", ".join(agent.name for agent, _ in serving)
    what = f"{contract.name}@{contract.version}"
    if found:
        raise RefusedError("BAD_ARGUMENT", f"several agents serve {what}.", do=f"name one of them: --agent {names}.")
    who = "no program" if named is None else named
    message = f"{who} serves {what}" if named is None else f"{who} is no program that serves {what}"
    do = f"name one that does: {names}." if names else "add it to `serves` of an agent in agents_registry/."
    raise RefusedError("BAD_ARGUMENT", f"{message}.", do=do)


class Verifier:
    """One verification of one agent, for one contract."""

    def __init__(self, chosen: Chosen, pool: AgentPool, request: VerifyRequest) -> None:
        self._contract: Contract = chosen.contract
        self._agent: Agent = chosen.agent
        self._bind: dict[str, Json] = chosen.serve.bind
        self._compiled = CompiledContract(chosen.contract)
        self._pool, self._request = pool, request
        run = f"{time.time_ns()}"
        self._cases = CaseMaker(self._compiled, count=request.count, seed=request.seed, run=run)
        self._rows: list[VerifiedCase] = []
        self._times: list[int] = []
        self._sizes: list[int] = []
        self._answered: list[Case] = []
        self._declared = 0
        self._doubtful: list[tuple[Case, _Seen]] = []
        self._unanswered = 0

    async def run(self) -> VerifyView:
        """Make every call, one after the other. Raises AgentCallError where the agent cannot be reached at all."""
        await self._pool.ready(self._agent.name)  # the start of a program is no latency of its answers
        await self._all(self._cases.cases())
        if self._request.only is None or self._request.only.startswith(Check.REPEATED):
            await self._all(self._cases.repeated(self._answered))
        self._decide_doubtful()
        if not self._rows:
            names = "example-1, valid-1, invalid-1 or repeated-1"
            do = f"name a case as the report does, such as {names}, with the same --seed and --cases."
            raise RefusedError("BAD_ARGUMENT", f"there is no case {self._request.only}.", do=do)
        return self._view()

    async def _all(self, cases: Iterable[Case]) -> None:
        check, wanted = None, self._request.only
        for case in cases:
            needed = wanted is not None and wanted.startswith(Check.REPEATED) and case.check is not Check.INVALID
            if wanted is not None and case.id != wanted and not (needed and case.check is not Check.REPEATED):
                continue
            if case.check is not check:
                check, self._unanswered = case.check, 0
            if self._unanswered >= UNANSWERED_MAX:
                self._add(case, "skipped", None, Failed(code="skipped", message="three calls before were not answered"))
            elif case.check is Check.INVALID and self._agent.transport.kind == KIND:
                message = "a model refuses no arguments: they are checked before it is asked"
                self._add(case, "skipped", None, Failed(code="skipped", message=message))
            elif case.check is Check.REPEATED:
                await self._twice(case)
            else:
                await self._once(case)

    # Calls

    async def _call(self, case: Case, *, judged: bool = True) -> _Seen:
        contract, key_field = self._contract, self._contract.key_field
        given = case.input.get(key_field) if key_field is not None else None
        # A broken input's key may be any text; over HTTP it stands in a header too, where only some can stand.
        fit = isinstance(given, str) and given.isascii() and given.isprintable()
        call = AgentCall(
            process="verify",
            call=case.id,
            contract=f"{contract.name}@{contract.version}",
            key=str(given) if fit else self._cases.key(case.id),
            timeout_ms=contract.attempt_ms,
            output_bytes=contract.output_bytes,
            depth=contract.depth,
            keyed=key_field is not None,
            keeps=contract,
        )
        started = time.perf_counter()
        try:
            answer = await self._pool.call(self._agent.name, self._bind, read_stored(encode_body(case.input)), call)
        except AgentCallError as error:
            if error.code in {"unreachable", "no_model"} and not self._times:
                raise
            failed = within_the_contract(Failed.of(error), contract)
            self._unanswered = self._unanswered + 1 if failed.code in NO_ANSWER else 0
            return self._timed(_Seen(ms=int((time.perf_counter() - started) * 1000), failed=failed))
        self._unanswered = 0
        return self._timed(self._seen(case, answer, judged=judged))

    def _seen(self, case: Case, answer: Answer, *, judged: bool) -> _Seen:
        if not judged:
            shown = Failed(code="accepted", answer=answer.value)
            return _Seen(ms=answer.ms, failed=shown)
        verdict = judge(self._compiled, case.input, answer, secrets=self._pool.secrets)
        if isinstance(verdict, Failed):
            return _Seen(ms=answer.ms, failed=verdict)
        self._sizes.append(len(verdict.data))
        return _Seen(ms=answer.ms, data=verdict.data)

    def _timed(self, seen: _Seen) -> _Seen:
        self._times.append(seen.ms)
        return seen

    # Verdicts

    async def _once(self, case: Case) -> None:
        seen = await self._call(case, judged=case.check is not Check.INVALID)
        if seen.failed is None:
            self._answered.append(case)
        if case.check is Check.INVALID:
            self._refusal(case, seen)
        elif case.error is not None:
            self._expected_error(case, seen)
        elif seen.failed is None:
            self._add(case, "passed", seen)
        elif case.check is Check.VALID and seen.failed.code in self._contract.errors:
            self._declared += 1
            shown = {example.get("error") for example in self._contract.examples}
            class_ = self._contract.errors[seen.failed.code].class_
            if class_ == FailureClass.INVALID_INPUT and seen.failed.code not in shown:
                self._doubtful.append((case, seen))
            else:
                self._add(case, "passed", seen)
        else:
            self._add(case, "failed", seen, seen.failed)

    def _decide_doubtful(self) -> None:
        """Inputs that keep the contract and were refused as invalid: a fault where a quarter of such is answered.

        An agent that reads documents refuses most texts, and rightly: no schema says what an invoice is. An example
        with that error says so of a contract; then nothing is doubtful.
        """
        answered = sum(case.check is Check.VALID for case in self._answered)
        wrong = 3 * answered >= len(self._doubtful)
        for case, seen in self._doubtful:
            assert seen.failed is not None  # only refused inputs are doubtful
            message = f"an input that keeps the contract was refused as invalid: {seen.failed.message}"
            shown = msgspec.structs.replace(seen.failed, message=message)
            self._add(case, "failed" if wrong else "warned", seen, shown)

    def _expected_error(self, case: Case, seen: _Seen) -> None:
        if seen.failed is None:
            answer = None if seen.data is None else read_stored(seen.data)
            message = f"the example's error {case.error} was expected, and an answer came"
            self._add(case, "failed", seen, Failed(code="answered", message=message, answer=answer))
        elif seen.failed.code != case.error:
            message = f"the example's error {case.error} was expected: {seen.failed.message}"
            self._add(case, "failed", seen, msgspec.structs.replace(seen.failed, message=message))
        else:
            self._add(case, "passed", seen)

    def _refusal(self, case: Case, seen: _Seen) -> None:
        """A broken input must be refused, best by a declared error of class invalid_input."""
        failed = seen.failed
        assert failed is not None  # an answer that is not judged is a failure here
        declared = self._contract.errors.get(failed.code)
        if failed.code == "input_mismatch":
            message = f"such an input cannot even be sent: {failed.message}"
            self._add(case, "skipped", seen, msgspec.structs.replace(failed, message=message))
        elif failed.code == "accepted":
            message = "the broken input was accepted and answered"
            ignored = case.rule in {"additionalProperties", "unevaluatedProperties"}  # most likely
            unseen = case.rule == "type" and not _sends_type(self._bind, case)
            message += "; its type is lost on the way, in a path or query" if unseen else ""
            verdict = "warned" if ignored or unseen else "failed"
            self._add(case, verdict, seen, msgspec.structs.replace(failed, message=message))
        elif declared is not None and declared.class_ == FailureClass.INVALID_INPUT:
            self._add(case, "passed", seen)
        elif declared is not None and declared.class_ != FailureClass.TRANSIENT:
            message = f"refused as {declared.class_}, not as invalid_input: {failed.message}"
            self._add(case, "warned", seen, msgspec.structs.replace(failed, message=message))
        elif declared is not None:
            message = f"refused as transient: a process would send it again and again: {failed.message}"
            self._add(case, "failed", seen, msgspec.structs.replace(failed, message=message))
        elif failed.code == "undeclared_error" and CRASHED.search(failed.message) is None:
            message = f"refused in words alone; map them to a declared error in bind.errors: {failed.message}"
            self._add(case, "warned", seen, msgspec.structs.replace(failed, message=message))
        else:
            message = f"the broken input was not refused, it broke the agent: {failed.message}"
            self._add(case, "failed", seen, msgspec.structs.replace(failed, message=message))

    async def _twice(self, case: Case) -> None:
        first, second = await self._call(case), await self._call(case)
        for seen in (first, second):
            if seen.failed is not None and seen.failed.code not in self._contract.errors:
                self._add(case, "failed", seen, seen.failed)
                return
        if first.failed is not None or second.failed is not None:
            one, other = (seen.failed.code if seen.failed else "an answer" for seen in (first, second))
            busy = self._contract.errors
            transient = {code for code in (one, other) if code in busy and busy[code].class_ == FailureClass.TRANSIENT}
            if one == other or transient:
                self._add(case, "passed", second)
                return
            message = f"the same call gave {one}, then {other}"
            self._add(case, "failed", second, Failed(code="not_the_same", message=message))
            return
        if first.data == second.data:
            self._add(case, "passed", second)
            return
        place = _difference(read_stored(first.data or b""), read_stored(second.data or b""))
        what = "under one key" if self._contract.key_field is not None else "for one input (idempotency: natural)"
        message = f"two calls {what} gave different answers"
        answers = [read_stored(seen.data or b"null") for seen in (first, second)]
        self._add(case, "failed", second, Failed(code="not_the_same", message=message, pointer=place, answer=answers))

    # The report

    def _add(self, case: Case, verdict: Any, seen: _Seen | None, failed: Failed | None = None) -> None:
        said = failed is not None and verdict != "passed"
        given, _ = cut(case.input)  # not masked: it stands in the contract's own examples, or was made up
        answer: Json = None
        if said and failed is not None and failed.answer is not None:
            pointers = sensitive(self._contract, "output")
            answers = failed.answer if failed.code == "not_the_same" else [failed.answer]
            shown = [cut(mask(each, pointers))[0] for each in answers or ()]
            answer = self._pool.secrets.mask_value(shown if failed.code == "not_the_same" else shown[0])
        row = VerifiedCase(
            id=case.id,
            check=case.check.value,
            verdict=verdict,
            what=clean(case.what) or None,
            code=failed.code if said and failed is not None else None,
            message=self._pool.secrets.mask_cut(clean(failed.message)) if said and failed is not None else None,
            pointer=failed.pointer if said and failed is not None else None,
            rule=failed.rule if said and failed is not None else None,
            ms=None if seen is None else seen.ms,
            input=given if said else None,
            answer=answer,
            again=self._again(case) if said else None,
        )
        self._rows.append(row)

    def _again(self, case: Case) -> str:
        """The command that makes the same call: by hand where the binding is no more than a name."""
        request, bind = self._request, self._bind
        tool = bind.get("tool")
        if tool is None and set(bind) <= {"method", "path", "errors", "result", "input"} and "method" in bind:
            tool = f"{bind['method']}:{bind.get('path', '/')}"
        if tool is not None and case.check is not Check.REPEATED:
            given = encode_body(renamed(case.input, bind.get("input"))).decode()
            words = ["orchestrator", "agents", "call", self._agent.name, str(tool), "--input", given]
            command = shlex.join(words) + request.options
            if len(command) <= COMMAND_CHARACTERS_MAX:
                return command
        writes = " --allow-writes" if request.allow_writes else ""
        return (
            f"orchestrator contracts verify {self._contract.name}@{self._contract.version} --agent {self._agent.name}"
            f" --seed {request.seed} --cases {request.count} --case {case.id}{writes}{request.options}"
        )

    def _view(self) -> VerifyView:
        contract = self._contract
        failures = [row for row in self._rows if row.verdict == "failed"]
        return VerifyView(
            ok=not failures,
            contract=contract.name,
            version=contract.version,
            agent=self._agent.name,
            effects=contract.effect.value,
            seed=self._request.seed,
            cases=self._request.count,
            calls=len(self._times),
            checks=[self._totals(check) for check in Check],
            latency_ms=_measured(self._times, contract.attempt_ms),
            size_bytes=_measured(self._sizes, contract.output_bytes),
            failures=failures,
            warnings=[row for row in self._rows if row.verdict == "warned"],
            notes=self._notes(),
            passed=[row for row in self._rows if row.verdict in {"passed", "skipped"}],
        )

    def _totals(self, check: Check) -> CheckTotals:
        verdicts = [row.verdict for row in self._rows if row.check == check]
        counts = {word: verdicts.count(word) for word in ("passed", "failed", "warned", "skipped")}
        note = None
        if check is Check.VALID and self._declared:
            note = f"{self._declared} met a declared error"
        elif check is Check.REPEATED and not verdicts:
            unsafe = "the contract promises nothing of it" if self._answered else "no call was answered"
            note = unsafe
        return CheckTotals(check=check.value, note=note, **counts)

    def _notes(self) -> list[str]:
        notes: list[str] = []
        valid = [row for row in self._rows if row.check == Check.VALID]
        if self._request.only is None and len(valid) < self._request.count:
            notes.append(
                f"only {len(valid)} of {self._request.count} different valid inputs were found; "
                "an example whose input keeps `requires` leads to more."
            )
        if valid and self._declared == len(valid):
            notes.append(
                "no generated input was answered, all met a declared error: "
                "give examples with inputs that the agent knows, inputs near them are tried too."
            )
        if not self._contract.examples:
            notes.append("the contract has no examples: the agent was tried with generated inputs alone.")
        return notes


def _sends_type(bind: dict[str, Json], case: Case) -> bool:
    """Whether an agent can see of which type a property is: a path, a query and a header carry texts alone."""
    if "method" not in bind or case.pointer is None:
        return True
    name = case.pointer.split("/")[1].replace("~1", "/").replace("~0", "~") if case.pointer else ""
    without = {key: value for key, value in case.input.items() if key != name}
    try:
        content, rest = laid_out(bind, case.input).content, laid_out(bind, {**without, name: ""}).content
    except AgentCallError:
        return True
    return content != rest


def _measured(values: list[int], limit: int) -> Measured:
    return Measured(typical=int(median(values)) if values else 0, most=max(values, default=0), limit=limit)


def _difference(one: Json, other: Json) -> str:
    """The pointer of the first place at which two values differ."""
    path: tuple[str | int, ...] = ()
    while one != other:
        if isinstance(one, dict) and isinstance(other, dict) and set(one) == set(other):
            name = next(name for name in one if one[name] != other[name])
            path, one, other = (*path, name), one[name], other[name]
        elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
            index = next(index for index, item in enumerate(one) if item != other[index])
            path, one, other = (*path, index), one[index], other[index]
        else:
            break
    return pointer_of(path)
