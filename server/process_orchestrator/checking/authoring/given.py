"""Bindings that a person names where no proposal can guess them: `add_pet.tag=$.steps.now.output.datetime`.

Pure. Reads them and says what they refer to; whether they fit is the plan check's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from process_orchestrator.checking.importers.naming import one_line
from process_orchestrator.checking.schemas.nearest import nearest
from process_orchestrator.checking.schemas.paths import Segments, parse_path
from process_orchestrator.checking.schemas.validate import parse_body
from process_orchestrator.core.errors import BodyError, PathError, RefusedError

Json = Any

GIVEN_MAX: Final = 300
EXAMPLE: Final = "write STEP.ARGUMENT=$.steps.OTHER.output.NAME, =$.input.NAME, or =VALUE"


class Given(NamedTuple):
    """One binding: `value` as it stands in a plan, `path` what it leads to; none for a constant."""

    text: str
    value: Json
    path: Segments = ()

    @property
    def step(self) -> str | None:
        """The step whose output is meant."""
        return str(self.path[1]) if len(self.path) > 1 and self.path[0] == "steps" else None

    @property
    def input(self) -> str | None:
        """The input of the process that is meant."""
        return str(self.path[1]) if len(self.path) > 1 and self.path[0] == "input" else None


GivenBindings = Mapping[tuple[str, str], Given]


def given_bindings(texts: Iterable[str]) -> dict[tuple[str, str], Given]:
    """By step and argument. Raises RefusedError BAD_ARGUMENT for a text that says none."""
    found: dict[tuple[str, str], Given] = {}
    for text in texts:
        place, separator, said = text.partition("=")
        step, dot, argument = place.strip().partition(".")
        if not separator or not dot or not step or not argument or len(found) >= GIVEN_MAX:
            raise RefusedError("BAD_ARGUMENT", f"`{one_line(text, chars=80)}` is no binding.", do=f"{EXAMPLE}.")
        found[step, argument] = _given(said.strip())
    return found


def refuse_unknown(kind: str, name: str, known: Iterable[str]) -> RefusedError:
    """What to say of a step or argument that there is not."""
    close = ", ".join(nearest(name, known)) or "none"
    return RefusedError(
        "BAD_ARGUMENT", f"--bind names {kind} {one_line(name, chars=80)}, which there is not.", do=f"there is: {close}."
    )


def _given(said: str) -> Given:
    if not said.startswith("$"):
        return Given(said, _constant(said))
    try:
        return Given(said, said, parse_path(said))
    except PathError as error:
        message = f"`{one_line(said, chars=80)}` is no path: {error.message.removesuffix('.')}."
        raise RefusedError("BAD_ARGUMENT", message, do=f"{EXAMPLE}.") from None


def _constant(said: str) -> Json:
    """A JSON value, or the text itself where it is none."""
    try:
        value = parse_body(said.encode(errors="surrogatepass"))
    except BodyError:
        return said
    return {"const": value} if isinstance(value, dict | list) else value
