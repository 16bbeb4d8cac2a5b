"""The one error tree.

OrchestratorError
├── RefusedError            what was asked cannot be done; says what to do instead (public code)
├── DefinitionError         a definition file is wrong; holds the problems
├── BodyError               a body cannot be read as JSON within its caps (a CallFailed code)
├── SchemaError             a JSON Schema that does not compile
├── PathError               a text that is no path of ours
├── AddressError            a text that is no address of the web, or one that may not be reached
├── ExpressionError         an expression that does not compile, or ended in an error
├── CardError               an A2A agent card that cannot be used
├── BindingError            a value of a plan cannot be made: missing_binding, condition_error (a CallFailed code)
├── AgentCallError          an agent's answer or the way to it failed (a CallFailed code)
├── ModelError              a language model's answer or the way to it failed (a StageFailed or CallFailed code)
├── StorageError            the database cannot be trusted or written
│   └── StorageFullError
└── EngineError             the engine cannot be reached or speaks another version

Expected failures of agents are events, not exceptions: AgentCallError never leaves the performer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from process_orchestrator.core.facts.state import Escalation
    from process_orchestrator.core.facts.values import Blame, FailureClass, Outcome, Usage

PUBLIC_CODES: Final = (
    "UNKNOWN_PROCESS",
    "UNKNOWN_ESCALATION",
    "UNKNOWN_PROCESS_TYPE",
    "UNKNOWN_CONTRACT",
    "UNKNOWN_STEP",
    "UNKNOWN_AGENT",
    "LINEAGE_REFUSED",
    "INPUT_MISMATCH",
    "AMBIGUOUS_TASK",
    "NEEDS_MODEL",
    "KEY_REUSED",
    "VERSION_CONFLICT",
    "ALREADY_RESOLVED",
    "DECISION_NOT_ALLOWED",
    "BUDGET_INVALID",
    "REPEAT_REFUSED",
    "BAD_ARGUMENT",
    "TOO_LARGE",
    "STORAGE_FULL",
    "ENGINE_UNAVAILABLE",
    "ENGINE_VERSION",
)
"""Every code a door may answer with."""


class OrchestratorError(Exception):
    """Root of all errors. `code` is stable; `retryable` says whether the same request may succeed later."""

    code: str = "INTERNAL"
    retryable: bool = False


class RefusedError(OrchestratorError):
    """A request that cannot be carried out.

    Its text reads `CODE: cause. Do: next call.`
    `record` is the winner's escalation of an ALREADY_RESOLVED; `details` are further structured fields of the answer
    (candidates of an AMBIGUOUS_TASK, errors of an INPUT_MISMATCH).
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        do: str,
        pointer: str | None = None,
        record: Escalation | None = None,
        details: dict[str, object] | None = None,
    ) -> None:
        super().__init__(f"{code}: {message} Do: {do}")
        self.code, self.message, self.do = code, message, do
        self.pointer, self.record, self.details = pointer, record, details or {}


class DefinitionError(OrchestratorError):
    """A definition that cannot be used. `problems` are `checking.definitions.Problem`s, errors first."""

    code = "DEFINITION_INVALID"

    def __init__(self, problems: tuple[Any, ...]) -> None:
        first = problems[0]
        super().__init__(f"{first.file}:{first.line} {first.pointer}: {first.message}. Do: {first.fix}")
        self.problems = problems


class BodyError(OrchestratorError):
    """A body that cannot be read: not_json, duplicate_key, not_finite, too_deep or too_large."""

    def __init__(self, code: str, message: str, *, pointer: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.pointer = code, message, pointer


class SchemaError(OrchestratorError):
    """A JSON Schema that does not compile.

    `reason`: bad_pattern, unknown_format, remote_ref, dangling_ref, too_deep or malformed. `pointer` leads into the
    schema where that is known.
    """

    code = "BAD_SCHEMA"

    def __init__(self, reason: str, message: str, *, pointer: str = "") -> None:
        super().__init__(message)
        self.reason, self.message, self.pointer = reason, message, pointer


class PathError(OrchestratorError):
    """A text that is no path: `position` is the character where reading stopped."""

    code = "BAD_PATH"

    def __init__(self, message: str, *, position: int = 0) -> None:
        super().__init__(message)
        self.message, self.position = message, position


class AddressError(OrchestratorError):
    """A text that is no address of the web, or an address that may not be reached. Its message holds no query."""

    code = "BAD_URL"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ExpressionError(OrchestratorError):
    """An expression that does not compile (`fix` then holds what to write) or whose evaluation ended in an error."""

    code = "condition_error"

    def __init__(self, message: str, *, fix: str = "") -> None:
        super().__init__(message)
        self.message, self.fix = message, fix


class CardError(OrchestratorError):
    """An A2A agent card that cannot be used, or an address in it."""

    code = "BAD_CARD"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BindingError(OrchestratorError):
    """A value of a plan that cannot be made. `code`: missing_binding or condition_error.

    `pointer` leads into what was to be made (an argument of the call, an element of an output).
    """

    def __init__(self, code: str, message: str, *, pointer: str = "", blame: Blame) -> None:
        super().__init__(message)
        self.code, self.message, self.pointer, self.blame = code, message, pointer, blame


class AgentCallError(OrchestratorError):
    """A call that failed. Becomes CallFailed at the performer's call boundary.

    `class_`, `blame` and `outcome` are None where the table of core.md §4 decides them from the code. `answered`: the
    agent took the work and said so, only its end did not come in time: no outage. `billed`: what it took, of an agent
    that says so.
    """

    def __init__(  # noqa: PLR0913 - the facts of one failure, each by its name
        self,
        code: str,
        message: str,
        *,
        class_: FailureClass | None = None,
        blame: Blame | None = None,
        outcome: Outcome | None = None,
        retry_after_ms: int | None = None,
        answer: object = None,
        stderr: str | None = None,
        answered: bool = False,
        billed: Usage | None = None,
    ) -> None:
        super().__init__(message)
        self.code, self.message, self.answered, self.billed = code, message, answered, billed
        self.class_, self.blame, self.outcome = class_, blame, outcome
        self.retry_after_ms, self.answer, self.stderr = retry_after_ms, answer, stderr


class ModelError(OrchestratorError):
    """A call of a language model that failed. Becomes StageFailed or CallFailed at the performer's boundary.

    `code`: no_model, not_configured (key or address missing), unreachable, rate_limited, timeout, refused (the host
    will not answer this), not_json, truncated, too_large, output_mismatch. `tokens` and `usd_micros` are what the
    failed call was billed all the same, None where nobody knows; `answer` is what came, cut.
    """

    def __init__(  # noqa: PLR0913 - the facts of one failure, each by its name
        self,
        code: str,
        message: str,
        *,
        model: str = "",
        retry_after_ms: int | None = None,
        answer: str | None = None,
        tokens: int | None = None,
        usd_micros: int | None = None,
        ms: int = 0,
    ) -> None:
        super().__init__(message)
        self.code, self.message, self.model = code, message, model
        self.retry_after_ms, self.answer = retry_after_ms, answer
        self.tokens, self.usd_micros, self.ms = tokens, usd_micros, ms

    @property
    def available(self) -> bool:
        """Whether the model was there and answered: another try at once may bring a better answer."""
        return self.code in {"not_json", "truncated", "too_large", "output_mismatch"}


class StorageError(OrchestratorError):
    """The database cannot be trusted or written; nothing was changed."""

    code = "STORAGE_UNTRUSTED"


class StorageFullError(StorageError):
    """No room for the journal. Acknowledged rows are intact; writing resumes alone once there is room."""

    code = "STORAGE_FULL"
    retryable = True


class EngineError(OrchestratorError):
    """The engine of this home does not answer (ENGINE_UNAVAILABLE) or speaks another version (ENGINE_VERSION)."""

    retryable = True

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message
