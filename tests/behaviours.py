"""Every promise to users, with its source.

`tests/test_behaviours.py` fails on a promise without a test, and on a test that names no promise. A test names its
promise with `@pytest.mark.behaviour("id")`.
"""

from typing import Final, NamedTuple


class Promise(NamedTuple):
    source: str
    text: str


PROMISES: Final[dict[str, Promise]] = {
    "P1": Promise("README", "An acknowledged submit or resolve survives kill -9."),
    "P2-once": Promise("README", "The recorded outcome of a step is exactly-once; calls repeat under one stable key."),
    "P2-unsafe": Promise("README", "What must not be repeated is never repeated on its own."),
    "P3": Promise("README", "An escalation is resolved at most once; the loser gets the winner's record."),
    "P4-same": Promise("README", "Same idempotency key and body: same process."),
    "P4-reused": Promise("README", "Same idempotency key, different body: KEY_REUSED."),
    "P5-deadline": Promise("README", "No agent outlives its deadline by more than 1 s plus the kill grace."),
    "P5-bounded": Promise("README", "No agent, however big or false, blocks the server or its neighbours."),
    "P6-one": Promise("README", "One engine per database, any number of doors."),
    "P6-takeover": Promise("README", "A door takes over within 3 s."),
    "P7": Promise("README", "A database that cannot be trusted is refused with a named error, never re-created."),
    "P8": Promise("README", "Every terminal state is explained in the trace."),
    "P9": Promise("README", "No approval without the assurance its contract demands."),
    "deadline": Promise("docs/design.md", "A deadline reminds, then rejects, aborts or passes on; it never approves."),
    "orchestrators": Promise("docs/waiting-and-parts.md", "A process type of another orchestrator is an agent's work."),
    "undoing": Promise("docs/design.md", "What is done is undone, newest first, each once, also across a kill -9."),
    "planner": Promise("docs/planning.md", "Whatever a planning model says, nothing is called that is not on the map."),
    "drift": Promise("docs/operating.md", "What this version decides otherwise than the journal waits for a person."),
    "pins": Promise("docs/versions-and-drift.md", "An agent that changed behind our back is not called to write."),
    "bumps": Promise("docs/versions-and-drift.md", "`check` refuses a version bump that is too small."),
    "models-are-gated": Promise(
        "docs/models.md", "What a model says is checked like anything from outside; nothing invalid is dispatched."
    ),
    "models-fail-by-name": Promise(
        "docs/models.md", "Whatever a model's host does, the failure has a name, and nothing is asked twice by itself."
    ),
    "blame": Promise(
        "docs/whose-fault.md", "Every failed call is blamed on one of seven parties by rule, with place and remedy."
    ),
    "lines": Promise("docs/operating.md", "`submit --lines` may be started again: each line is one process."),
    "replay": Promise(
        "docs/operating.md", "`replay` decides recorded processes anew, calls nobody and writes nothing."
    ),
    "redrive": Promise("docs/operating.md", "A redrive takes over what was done, and calls only the rest."),
    "redrive-unsafe": Promise("docs/operating.md", "A redrive repeats no effect by itself that must not be repeated."),
    "cap": Promise(
        "docs/operating.md", "What a process spends never passes its budget, kills or not; it waits and asks."
    ),
    "import-openapi": Promise(
        "docs/importing.md", "A whole OpenAPI document, 3.0 or 3.1, imports without a schema written by hand."
    ),
    "import-update": Promise("docs/importing.md", "An update loses nothing that a person wrote, comments included."),
    "new": Promise("docs/importing.md", "A process type made of the shipped contracts is bound without a hand."),
    "draft": Promise("docs/importing.md", "A draft cannot be planned, and says which decisions are open."),
    "first-process": Promise(
        "docs/your-first-process.md",
        "From three sources to finished runs in twelve commands, without writing a schema.",
    ),
    "import-mcp": Promise(
        "docs/importing.md", "A server that hangs or lies ends an import by name, and leaves nothing."
    ),
    "import-mcp-real": Promise(
        "docs/importing.md", "Every tool of twenty real MCP servers becomes a draft that loads."
    ),
    "demo": Promise("README", "`orchestrator demo` runs three invoices with real agents and needs no key or network."),
    "single-call": Promise("README", "Where one call of one agent closes the task, the server says so."),
    "check": Promise("README", "`orchestrator check` names file, line, JSON pointer and what to change."),
    "fits": Promise(
        "docs/contracts-that-fit.md", "What `check` says may not fit is shown by a value that the consumer refuses."
    ),
    "fits-proven": Promise("docs/contracts-that-fit.md", "What `check` says always fits, no body ever refutes."),
    "config": Promise("README", "The example config starts a server that answers."),
    "scripts": Promise("README", "Any MCP client can submit, watch, trace and resolve."),
    "backup": Promise("docs/operating.md", "A backup taken under load is one moment of the journal, and verifies."),
    "restore": Promise("docs/operating.md", "A restored backup goes on; a log of another state beside it is refused."),
    "rebuild": Promise("docs/operating.md", "Listings that were tampered with are named by verify, mended by rebuild."),
    "migrations": Promise("docs/operating.md", "An older database is migrated whole after a copy, or not at all."),
    "storage-full": Promise("docs/operating.md", "No room: a named refusal, nothing acknowledged or answered is lost."),
    "set-aside": Promise("docs/operating.md", "A process that the engine set aside says so in every view."),
    "circuit": Promise(
        "docs/operating.md", "While the circuit of an only agent is open its steps wait, and no attempt counts."
    ),
    "fallback": Promise("docs/design.md", "A fallback serves the pinned version of the contract, or is not asked."),
    "fair-turns": Promise("docs/operating.md", "A map of a thousand items does not starve a process with one call."),
    "child-limits": Promise("docs/operating.md", "A program of an agent takes no more memory than the settings say."),
    "clock": Promise("docs/operating.md", "A wall clock set by an hour fires nothing early and lets nothing wait."),
    "ssrf": Promise(
        "docs/http-agents.md", "No address, redirect, link or name server makes us ask anybody inside our network."
    ),
    "golden": Promise("docs/operating.md", "A journal of an earlier version leads to the same state and commands."),
    "verify": Promise("docs/testing-agents.md", "`contracts verify` names what an agent does against its contract."),
    "verify-writes": Promise(
        "docs/testing-agents.md", "`contracts verify` makes no call that writes unless `--allow-writes` is given."
    ),
    "fake": Promise(
        "docs/testing-agents.md", "`contracts fake` answers by contract, and the same input alike for ever."
    ),
    "estimate": Promise("docs/cost.md", "Nine of ten runs cost what was said before they began."),
    "estimate-free": Promise("docs/cost.md", "An estimate starts nothing, stores nothing, and asks no model."),
    "line": Promise("docs/cost.md", "Who is sent to one call is never left with half of the work."),
}
