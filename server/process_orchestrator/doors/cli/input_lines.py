"""`submit --lines`: a file with one input a line, each a process under a key of its own, safe to be given again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from process_orchestrator.checking.schemas.pointers import value_at
from process_orchestrator.checking.schemas.validate import encode_body, parse_body
from process_orchestrator.core.errors import BodyError, RefusedError
from process_orchestrator.core.limits import BODY_BYTES_MAX, BODY_DEPTH_MAX
from process_orchestrator.doors.cli.batches import GOING, finish, rows_of
from process_orchestrator.views.batch_view import RefusedRow, refused_row
from process_orchestrator.views.error_view import error_view

if TYPE_CHECKING:
    from collections.abc import Sequence

    from process_orchestrator.doors.cli.session import Exit, Session
    from process_orchestrator.orchestrator import Orchestrator
    from process_orchestrator.views.models import SubmitRequest

LINES_MAX: Final = 100_000
KEY_CHARACTERS_MAX: Final = 120
"""Of a key's value: type and label stand before it, and a whole key may have 200."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One input of the file, by the number of its line, and what tells it from all others."""

    number: int
    value: Any
    key: str


def read_lines(file: Path, pointer: str | None) -> list[Line]:
    """Every line of a file. `pointer` leads to what names a line; without it its whole content does.

    Raises RefusedError BAD_ARGUMENT for the first line that is no JSON object, has no name, or bears that of another:
    before anything is submitted.
    """
    lines: list[Line] = []
    met: dict[str, Line] = {}
    for number, text in enumerate(_texts(file), start=1):
        if not text.strip():
            continue
        value = _value(text, number)
        line = Line(number=number, value=value, key=_key(value, pointer, number))
        other = met.setdefault(line.key, line)
        if other is line:
            lines.append(line)
        elif other.value != value:
            raise _bad(number, f"it bears {pointer} {line.key} as line {other.number} does, with another input")
        if len(lines) > LINES_MAX:
            raise _bad(number, f"a file may have {LINES_MAX} lines")
    return lines


def _texts(file: Path) -> list[bytes]:
    try:
        return file.expanduser().read_bytes().split(b"\n")
    except OSError as error:
        raise RefusedError(
            "BAD_ARGUMENT", f"{file} cannot be read: {error.strerror}.", do="give a file with one JSON object a line."
        ) from error


def _value(text: bytes, number: int) -> Any:
    try:
        value = parse_body(text, max_bytes=BODY_BYTES_MAX, depth=BODY_DEPTH_MAX)
    except BodyError as error:
        raise _bad(number, f"it holds no usable JSON ({error.code}): {error.message.removesuffix('.')}") from error
    if not isinstance(value, dict):
        raise _bad(number, "it is no JSON object")
    return value


def _key(value: Any, pointer: str | None, number: int) -> str:
    if pointer is None:
        return hashlib.sha256(encode_body(value)).hexdigest()
    if not pointer.startswith("/"):
        raise RefusedError(
            "BAD_ARGUMENT",
            f"--key {pointer} is no JSON pointer.",
            do="with --lines, --key names the field that tells the lines apart, such as /invoice_no.",
        )
    found = value_at(value, pointer)
    if isinstance(found, bool) or not isinstance(found, str | int) or not str(found).strip():
        raise _bad(number, f"it has no text or whole number at {pointer}")
    if len(str(found)) > KEY_CHARACTERS_MAX:
        raise _bad(number, f"what it has at {pointer} is over {KEY_CHARACTERS_MAX} characters")
    return str(found).strip()


def _bad(number: int, why: str) -> RefusedError:
    return RefusedError("BAD_ARGUMENT", f"line {number}: {why}.", do="mend the line; nothing was submitted.")


async def submit_lines(
    session: Session, orchestrator: Orchestrator, request: SubmitRequest, lines: Sequence[Line], *, follow: bool
) -> Exit:
    """Submit every line as `request` says, each under its own key; with `follow` see each to its end or question.

    A line that was submitted before meets its process. A refused line keeps none of the others.
    """
    made: dict[str, str] = {}
    refused: list[RefusedRow] = []
    for line in lines:
        named = [request.process_type or "", request.label or "", line.key]
        one = request.model_copy(update={"input": line.value, "idempotency_key": " / ".join(named)})
        of = f"line {line.number}"
        try:
            view = await orchestrator.submit(one, caller=session.caller)
        except RefusedError as error:
            refused.append(refused_row(error_view(error).error, of))
        else:
            made.setdefault(view.process_id, of)
    rows = await rows_of(session, orchestrator, made, follow=follow)
    if any(row.status in GOING for row in rows):
        await session.note_without_engine("stored", "PROCESS_ID")
    return finish(session, rows, refused, label=request.label, given=len(lines))
