"""Reads ids as models and people write them: quotes, blanks and capitals around an id mean nothing."""

from __future__ import annotations

import re
from typing import Final

from process_orchestrator.core.errors import RefusedError

PROCESS_ID: Final = re.compile(r"p_[a-z2-7]{26}")
ESCALATION_ID: Final = re.compile(r"(?P<process>p_[a-z2-7]{26})\.e(?P<number>[1-9][0-9]{0,5})")
_AROUND: Final = " \t\r\n\"'`<>()[]{},;"
_SHOWN_MAX: Final = 80


def read_process_id(text: str) -> str:
    """A process id; that of an escalation or of a resource address names its process too.

    Raises RefusedError UNKNOWN_PROCESS.
    """
    found = PROCESS_ID.search(_plain(text))
    if found is None:
        raise RefusedError(
            "UNKNOWN_PROCESS",
            f"{shown(text)} is no process id; one reads p_ and 26 letters and digits.",
            do="call list_processes to find it.",
        )
    return found.group()


def read_escalation_id(text: str) -> tuple[str, str]:
    """Process id and escalation id. Raises RefusedError UNKNOWN_ESCALATION."""
    found = ESCALATION_ID.search(_plain(text))
    if found is None:
        raise RefusedError(
            "UNKNOWN_ESCALATION",
            f"{shown(text)} is no escalation id; one reads like p_….e1.",
            do="call list_escalations to find it.",
        )
    return found["process"], found.group()


def read_name(text: str) -> str:
    """A name of a definition, a step or a unit."""
    return text.strip(_AROUND.replace("[", "").replace("]", ""))


def shown(text: str) -> str:
    """What was given, short enough to be shown in an error."""
    line = " ".join(text.split())
    return repr(line if len(line) <= _SHOWN_MAX else line[:_SHOWN_MAX] + "…")


def _plain(text: str) -> str:
    return text.strip(_AROUND).lower()
