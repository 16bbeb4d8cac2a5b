"""Says on a terminal what the use cases say to a model: commands where they name tools.

Results and errors are written once, for every door, and name tools. Here a tool becomes the command that is its twin,
and a command gets the options by which its home was named, so that it can be copied. Decides nothing.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any, Final

from process_orchestrator.views import models as m
from process_orchestrator.views import text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

COMMAND_OF: Final[Mapping[str, str]] = {
    "submit_process": "orchestrator run TYPE --input FILE",
    "get_state": "orchestrator state PROCESS_ID",
    "list_trace": "orchestrator trace PROCESS_ID",
    "resolve_escalation": "orchestrator resolve ESCALATION_ID",
    "list_escalations": "orchestrator escalations",
    "list_processes": "orchestrator processes",
    "cancel_process": "orchestrator cancel PROCESS_ID",
    "estimate_cost": "orchestrator estimate",
    "describe_agents": "orchestrator processes show",
    "validate_contract": "orchestrator check",
}
NAMED: Final = re.compile(
    rf"(?P<call>call )?\b(?P<tool>{'|'.join(COMMAND_OF)})\b(?:(?: with process_id| of) (?P<id>p_\w+))?"
    r"(?: with process_type (?P<type>[\w.@^-]+))?"
)
TO_THE_MODEL: Final = re.compile(r"^ask the user to ")
OWN_LINE: Final = re.compile(
    r"^(?P<before>Next: `?|  decide: |- cli: )(?P<command>orchestrator [^`]*?)(?P<after>`.*|  \(.*|)$"
)


def spoken(sentence: str) -> str:
    """What to do, as a person at a terminal does it."""
    return NAMED.sub(_command, TO_THE_MODEL.sub("", sentence)).replace("`cursor`", "`--cursor`")


def _command(found: re.Match[str]) -> str:
    command = COMMAND_OF[found["tool"]]
    if found["id"]:
        command = command.replace("PROCESS_ID", found["id"])
    if found["type"]:
        command = f"{command} {found['type']}"
    return f"{'run ' if found['call'] else ''}`{command}`"


def error_text(view: m.ErrorView) -> str:
    """An error as prose, ending with what to do on a terminal."""
    body = view.error
    return text.error_text(m.ErrorView(error=body.model_copy(update={"do": spoken(body.do)})))


def result_text(view: m.View, render: Callable[[Any], str], *, options: str) -> str:
    """A result as prose, what to do next last, where a person's eye ends; commands carry `options`."""
    actions: Sequence[m.NextAction] = getattr(view, "next_actions", ())
    if isinstance(view, m.WhyView):  # it ends with its own next command
        return _copied(render(view), options)
    body = (render(view.model_copy(update={"next_actions": []})) if actions else render(view)).rstrip()
    cursor: str | None = getattr(view, "next_cursor", None)
    if cursor is not None:  # the same command: its filters too must stay, or the next page is of another list
        body = body.replace(f"call again with cursor={cursor}.", f"run it again with --cursor {shlex.quote(cursor)}.")
    commands = dict.fromkeys(_command_line(action) for action in actions if action.command)
    lines = [f"Next: `{command}`" for command in commands if command not in body]
    return _copied("\n".join([body, *lines]), options)


def _command_line(action: m.NextAction) -> str:
    """The command of an action, with what its tool would be told and it does not say yet."""
    arguments = action.args or {}
    included = arguments.get("include")
    include = "".join(f" --include {each}" for each in included) if isinstance(included, list) else ""
    return f"{action.command}{include}" + (f" --wait {arguments['wait_s']}" if "wait_s" in arguments else "")


def _copied(body: str, options: str) -> str:
    """Give the commands of our own lines the options that lead to this home."""
    if not options:
        return body
    return "\n".join(
        OWN_LINE.sub(lambda found: f"{found['before']}{found['command'].rstrip()}{options}{found['after']}", line)
        for line in body.split("\n")
    )
