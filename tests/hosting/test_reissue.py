"""What is ordered again after a restart: everything outstanding, and nothing that is ordered already."""

from process_orchestrator.core.facts.commands import BuildOutput, Command, InvokeAgent, PlanContext, StopTimer
from process_orchestrator.core.facts.values import AgentPin, ContractPin, Effect, Idempotency, Ref
from process_orchestrator.hosting.reissue import not_among


def call(name: str, *, key: str = "p/a/g1") -> InvokeAgent:
    return InvokeAgent(
        process="p",
        call=name,
        unit=name.rpartition(".")[0],
        step=name.rpartition(".")[0],
        agent=AgentPin(name="a", sha256="0"),
        contract=ContractPin(name="c", version="1.0.0", sha256="1"),
        input=Ref(sha256="2", bytes=2),
        key=key,
        effect=Effect.WRITE,
        idempotency=Idempotency.KEYED,
        timeout_ms=1000,
    )


def test_what_is_ordered_already_is_not_ordered_again() -> None:
    output = BuildOutput(process="p", context=PlanContext(plan="3", type=None, input=None))
    outstanding: tuple[Command, ...] = (call("a.1"), call("b.1"), output)
    assert not_among(outstanding, ordered=(call("b.1"), output)) == (call("a.1"),)


def test_another_order_about_the_same_call_is_ordered_as_well() -> None:
    again = call("a.1", key="p/a/g2")
    assert not_among((again,), ordered=(call("a.1"), StopTimer(process="p", timer="a.1/retry"))) == (again,)


def test_nothing_that_was_ordered_leaves_out_nothing() -> None:
    assert not_among((call("a.1"), call("a.1")), ordered=()) == (call("a.1"), call("a.1"))
