"""The compiled plan document: all that the performer needs to evaluate a plan, as one self-contained JSON text.

Made by `compile`, pinned with the process under its sha256, read back by `compiled`. It holds no contract bodies: the
contracts that it names are pinned beside it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from process_orchestrator.checking.documents.definitions import Step
from process_orchestrator.checking.schemas.value_types import ValueType
from process_orchestrator.core.facts.values import Assurance, ContractPin, Effect, Fact, TypePin

Json = Any

FORMAT = 1
"""Version of this document. A reader of a later format reads the earlier ones."""

Types = dict[str, dict[str, ValueType]]
"""The types of the variables of every expression, by the pointer of the value that holds it."""


class PinnedAgent(Fact, frozen=True, kw_only=True):
    """An agent as the plan pinned it: how it keeps this one contract. Where it lives is read live."""

    name: str
    sha256: str
    bind: dict[str, Json]


class ApprovalRule(Fact, frozen=True, kw_only=True):
    """One reason for asking a human before a call. `when` None: always. `variables`: of the contract's condition."""

    when: Json = None
    show: tuple[Json, ...] = ()
    variables: dict[str, ValueType] = {}


class PlannedUndo(Fact, frozen=True, kw_only=True):
    """How the effect of a step is taken back. `input` binds `$.input` and `$.output` of the call that it undoes."""

    contract: ContractPin
    input: Json
    key_field: str | None
    agents: tuple[PinnedAgent, ...]
    types: Types = {}
    effect: Effect = Effect.WRITE
    approval: ApprovalRule | None = None  # the undo contract's own
    gate_role: str = "approver"
    gate_level: Assurance = Assurance.A2


class PlannedChild(Fact, frozen=True, kw_only=True):
    """The process that a step starts. `plan` is its own plan document, which holds the schema of its input."""

    type: TypePin
    plan: str
    usd_micros: int  # its type's own budget


class PlannedStep(Fact, frozen=True, kw_only=True):
    """One step with its defaults, pins and types. `required` are the arguments that the contract demands."""

    step: Step
    contract: ContractPin | None
    effect: Effect
    required: tuple[str, ...]
    key_field: str | None
    agents: tuple[PinnedAgent, ...]
    human: bool
    contract_approval: ApprovalRule | None
    step_approval: ApprovalRule | None
    gate_role: str
    gate_level: Assurance
    undo: PlannedUndo | None = None
    child: PlannedChild | None = None
    types: Types = {}
    by_model: bool = False  # a model's plan: what cannot be undone is asked about, unless the plan itself was approved


class PlanDocument(Fact, frozen=True, kw_only=True):
    """A whole plan. `input` and `output` are the schemas of the process type."""

    format: int = FORMAT
    type: TypePin
    input: dict[str, Json]
    output: dict[str, Json]
    steps: tuple[PlannedStep, ...]
    result: Json  # the plan's `output` as written
    types: Types = {}


def encode_plan(document: PlanDocument) -> bytes:
    """The document as it is stored and hashed: sorted keys, the same bytes for the same plan."""
    return msgspec.json.encode(document, order="sorted")


def decode_plan(data: bytes) -> PlanDocument:
    """A stored document."""
    return msgspec.json.decode(data, type=PlanDocument)
