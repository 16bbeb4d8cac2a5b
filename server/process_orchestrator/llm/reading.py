"""From what a model wrote to data: strict JSON within caps that keeps the prompt's schema, or a ModelError.

Every implementation of the port reads with this room, so that none is more generous than another. No host, no network.
"""

from __future__ import annotations

import re
from typing import Any, Final

from process_orchestrator.checking.schemas.validate import Validator, parse_body
from process_orchestrator.core.errors import BodyError, ModelError
from process_orchestrator.llm.port import ANSWER_BYTES_MAX, Prompt, Spending

Json = Any

EVIDENCE_MAX: Final = 2_000
"""Characters of a bad answer that are kept, so that a person can see what came."""

PROBLEMS_SHOWN: Final = 3

_FENCED: Final = re.compile(r"\A\s*```[a-z]*\n(?P<inside>.*)\n\s*```\s*\Z", re.DOTALL)


def read_answer(text: str, prompt: Prompt, spent: Spending) -> Json:
    """The value that `text` holds: JSON, bare or in one fence, and nothing beside it.

    Raises ModelError (too_large, not_json, output_mismatch), billed with what was spent.
    """
    data = text.encode(errors="surrogatepass")
    if len(data) > ANSWER_BYTES_MAX:
        raise bad_answer("too_large", f"the answer has {len(data)} bytes, at most {ANSWER_BYTES_MAX} are read", spent)
    fenced = _FENCED.match(text)
    inside = fenced["inside"].encode(errors="surrogatepass") if fenced else data
    try:
        value = parse_body(inside, max_bytes=ANSWER_BYTES_MAX)
    except BodyError as error:
        where = f" at {error.pointer}" if error.pointer else ""
        message = f"the answer to {prompt.purpose} is no usable JSON ({error.code}){where}: {error.message}"
        raise bad_answer("not_json", message, spent, text=text) from None
    problems = Validator(prompt.schema).problems(value)
    if problems:
        told = "; ".join(problem.message for problem in problems[:PROBLEMS_SHOWN])
        message = f"the answer to {prompt.purpose} breaks its schema: {told}"
        raise bad_answer("output_mismatch", message, spent, text=text)
    return value


def bad_answer(code: str, message: str, spent: Spending, *, text: str | None = None) -> ModelError:
    """The error for an answer that came, was billed, and cannot be used."""
    return ModelError(
        code,
        message,
        model=spent.model,
        answer=text[:EVIDENCE_MAX] if text is not None else None,
        tokens=spent.tokens,
        usd_micros=spent.usd_micros,
        ms=spent.ms,
    )
