"""Whether what a contract says in expressions can be evaluated: `requires`, `ensures`, `approval.when`.

Everything is compiled against the contract's own schemas, so that a misspelt field or a whole number beside a double
is found when the file is read, not when the first invoice comes. Examples must keep the conditions too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from process_orchestrator.checking.documents.definitions import Contract, Problem
from process_orchestrator.checking.documents.lines import Document
from process_orchestrator.checking.schemas.projection import Shape
from process_orchestrator.checking.schemas.value_types import ValueType, type_of
from process_orchestrator.checking.values.expressions import Expression
from process_orchestrator.core.errors import ExpressionError

Json = Any


def contract_conditions(document: Document, contract: Contract, *, examples: bool) -> tuple[Problem, ...]:
    """What is wrong with the expressions of a contract whose schemas are sound.

    `examples`: they keep their schemas, so that the conditions can be tried on them.
    """
    given = {"input": type_of(Shape.of(contract.input))}
    both = {**given, "output": type_of(Shape.of(contract.output))}
    found: list[Problem] = []
    for side, conditions, variables in (("requires", contract.requires, given), ("ensures", contract.ensures, both)):
        for index, condition in enumerate(conditions):
            place = f"/{side}/{index}/expr"
            compiled = _compiled(document, place, condition.expr, variables)
            if isinstance(compiled, Problem):
                found.append(compiled)
            elif examples:
                found.extend(_broken_examples(document, contract, condition.id, compiled, side=side))
    approval = contract.approval
    if approval is not None and approval.when is not None:
        compiled = _compiled(document, "/approval/when/expr", approval.when["expr"], given)
        found.extend([compiled] if isinstance(compiled, Problem) else [])
    return tuple(found)


def _compiled(document: Document, place: str, text: str, variables: Mapping[str, ValueType]) -> Expression | Problem:
    try:
        return Expression(text, variables, condition=True)
    except ExpressionError as error:
        names = " and ".join(f"`{name}`" for name in variables)
        fix = error.fix
        if not fix or "`let`" in fix:  # a contract has no `let`: it sees its own call and nothing else
            fix = f"write a CEL expression over {names} that is true or false"
        code = "NOT_BOOL" if "must be true or false" in error.message else "EXPRESSION"
        return document.error(code, place, error.message[:300], fix)


def _broken_examples(
    document: Document, contract: Contract, name: str, compiled: Expression, *, side: str
) -> Iterator[Problem]:
    """Examples that their own contract would refuse. One that shows an error may break what is required."""
    for index, example in enumerate(contract.examples):
        if "error" in example or (side == "ensures" and "output" not in example):
            continue
        values = {"input": example["input"], "output": example.get("output")}
        try:
            kept = compiled.holds({key: values[key] for key in values if side == "ensures" or key == "input"})
            said = f"the example breaks `{name}`"
        except ExpressionError as error:
            kept, said = False, f"`{name}` cannot be evaluated for the example: {error.message}"
        if not kept:
            fix = "change the example, or the condition (guard optional fields with has())"
            yield document.error("EXAMPLE_CONDITION", f"/examples/{index}", said[:300], fix)
