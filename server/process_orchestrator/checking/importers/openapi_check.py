"""Is an OpenAPI document valid? Asked of `openapi-spec-validator` in a program of its own, for a limited time."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, Final

from process_orchestrator.checking.importers.naming import one_line
from process_orchestrator.core.errors import RefusedError
from process_orchestrator.core.facts.values import Fact

Json = Any

PROGRAM: Final = "process_orchestrator.checking.importers.openapi_check_program"
TIME_S: Final = 60.0
ERRORS_SHOWN_MAX: Final = 3


class Validity(Fact, frozen=True, kw_only=True):
    """What the validator says. `unknown` says why it did not answer."""

    errors: tuple[str, ...] = ()
    unknown: str | None = None


def checked(document: dict[str, Json], *, source: str, lenient: bool, time_s: float = TIME_S) -> tuple[str, ...]:
    """What to say of a document beside its import. Raises RefusedError for one that is not valid, unless `lenient`."""
    found = validity(document, time_s=time_s)
    if found.unknown:
        return (f"the document as a whole: {found.unknown}; what was imported was read as it stands",)
    shown = found.errors[:ERRORS_SHOWN_MAX]
    if shown and not lenient:
        raise RefusedError(
            "BAD_ARGUMENT",
            f"{source} is no valid OpenAPI document: {'; '.join(shown)}.",
            do="mend it, choose other operations with --only, or import what can be read of it with --lenient.",
        )
    return tuple(f"the document as a whole is not valid: {each}" for each in shown)


def validity(document: dict[str, Json], *, time_s: float = TIME_S) -> Validity:
    """Check a document; takes at most `time_s`. Blocks: call it in a thread."""
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", PROGRAM],
            input=json.dumps(document).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=time_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Validity(unknown=f"its check did not end within {time_s:g} s")
    if done.returncode:
        return Validity(unknown="its check broke down")
    found: list[dict[str, str]] = json.loads(done.stdout)
    return Validity(errors=tuple(f"{each['pointer'] or '/'}: {one_line(each['message'])}" for each in found))
