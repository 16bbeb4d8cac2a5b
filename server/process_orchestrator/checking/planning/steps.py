"""Steps of plans that no file holds: their names, and what the type and the contract say of them.

A made step is a contract, its arguments and perhaps a list. All else (what follows a failure, who is asked, how often
and how long) is the contract's and the type's own, so that nobody who proposes a plan can loosen it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from process_orchestrator.checking.documents.definitions import Step

if TYPE_CHECKING:
    from process_orchestrator.checking.documents.definitions import Contract, ProcessType

Json = Any


def step_name(contract: str) -> str:
    """The name of the first step that uses a contract: `order.find` is done by `order_find`."""
    return contract.replace(".", "_")


def made_step(
    name: str, *, contract: Contract, arguments: dict[str, Json], process_type: ProcessType, for_each: str | None = None
) -> Step:
    """A step with this contract at exactly this version, and no word of its own on anything else."""
    return Step(
        id=name,
        contract=f"{contract.name}@{contract.version}",
        input=arguments,
        for_each=for_each,
        on_failure={"else": process_type.on_failure},
    )
