"""`orchestrator demo`: the payables process on three invoices, with real agents, in a home of its own.

One invoice goes straight through; one meets an agent that breaks its contract once; one is over the limit and waits for
a person. Nothing is staged but the one fault, which the document desk offers as a switch. Needs no key, network, model.
"""

from __future__ import annotations

import json
import tempfile
import time
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.prompt import Confirm
from rich.rule import Rule
from rich.syntax import Syntax
from rich.table import Table

from process_orchestrator.assemble import Mode, open_orchestrator
from process_orchestrator.core.ports import Proof, ProofKind
from process_orchestrator.doors.claude_desktop import config_block, config_path, program
from process_orchestrator.doors.cli.live import ENDED, Watcher, needs_of, render
from process_orchestrator.doors.cli.session import Exit
from process_orchestrator.home import Home, seed_home
from process_orchestrator.settings import Settings
from process_orchestrator.views import text
from process_orchestrator.views.models import ProcessView, ResolveRequest, SubmitRequest

if TYPE_CHECKING:
    from rich.console import Console

    from process_orchestrator.doors.cli.session import Session
    from process_orchestrator.orchestrator import Orchestrator

FILES_WITH_ASSURANCE: Final = (
    "contracts/payables/ledger.post.contract.yaml",
    "contracts/payables/invoice_approval.process.yaml",
)
TRACE_KINDS_SHOWN: Final = frozenset({"CallSucceeded", "CallFailed", "StepSkipped", "EscalationResolved"})


async def run_demo(session: Session, *, keep: Path | None) -> Exit:
    """Tell the story of the three invoices; FAILED when one of them does not end as the story says."""
    story: dict[str, Any] = json.loads(_data("story.json"))
    folder = keep or Path(tempfile.mkdtemp(prefix="orchestrator-demo-"))
    home = Home(path=folder.absolute(), state=folder.absolute() / "state")
    _prepare(home, story, interactive=session.interactive)
    session.out.print(
        f"Home of this demo: {home.path}\nReal agents: three MCP servers, one HTTP service, one person.", markup=False
    )
    as_told = True
    async with open_orchestrator(home, Settings(), mode=Mode.DRIVE) as orchestrator:
        for number, chapter in enumerate(story["chapters"], start=1):
            session.out.print(Rule(f"{number}. {chapter['title']} ({chapter['file']})", align="left"))
            view = await _tell(session, orchestrator, chapter, process_type=story["process_type"])
            as_told = as_told and _as_told(session.out, view, chapter["expect"])
    _epilogue(session.out, home)
    return Exit.OK if as_told else Exit.FAILED


def _data(name: str) -> str:
    return (resources.files("process_orchestrator.doors") / "demo_data" / name).read_text(encoding="utf-8")


def _prepare(home: Home, story: dict[str, Any], *, interactive: bool) -> None:
    """Seed the demo's home; set the one fault; without a person at the terminal, let A0 approve in this home only."""
    seed_home(home)
    home.make_state()
    fault = story["fault"]
    agent = home.path / "agents_registry" / f"{fault['agent']}.agent.yaml"
    words = agent.read_text(encoding="utf-8")
    for name, value in fault["env"].items():
        words = words.replace(f'{name}: ""', f'{name}: "{value}"')
    agent.write_text(words, encoding="utf-8")
    if interactive:
        return
    for name in FILES_WITH_ASSURANCE:
        file = home.path / name
        file.write_text(
            file.read_text(encoding="utf-8").replace("min_assurance: A1", "min_assurance: A0"), encoding="utf-8"
        )


async def _tell(
    session: Session, orchestrator: Orchestrator, chapter: dict[str, Any], *, process_type: str
) -> ProcessView:
    started = time.perf_counter()
    view = await orchestrator.submit(
        SubmitRequest(
            process_type=process_type,
            input={"document": _data(chapter["file"])},
            idempotency_key=chapter["label"],
            label=chapter["label"],
        ),
        caller=session.caller,
    )
    watcher = Watcher(session, orchestrator)
    while True:
        view = await watcher.follow(view)
        if view.status in ENDED:
            break
        for row in view.escalations:
            if row.status == "open":
                await _decide(session, orchestrator, row.escalation_id)
        view = await orchestrator.state(view.process_id, wait_s=5, since=view.version, caller=session.caller)
    if not session.interactive:
        plan = (await orchestrator.state(view.process_id, include=("plan",), caller=session.caller)).plan
        session.out.print(render(view, needs_of(plan), width=session.out.width))
    await _print_trace(session, orchestrator, view)
    session.out.print(f"{time.perf_counter() - started:.2f} s, output: {json.dumps(view.output)}", markup=False)
    return view


async def _decide(session: Session, orchestrator: Orchestrator, escalation_id: str) -> None:
    """Ask the person at the terminal; without one, approve as a caller would, and say what that is worth."""
    package = await orchestrator.escalation(escalation_id, caller=session.caller)
    session.out.print(text.escalation_text(package), markup=False)
    if session.interactive:
        decision = "approve" if Confirm.ask("Approve it?", default=True, console=session.out) else "reject"
        proof = Proof(kind=ProofKind.TERMINAL)
    else:
        decision, proof = "approve", Proof(kind=ProofKind.ARGUMENT)
    result = await orchestrator.resolve(
        ResolveRequest(escalation_id=escalation_id, decision=decision, note="decided in the demo"),
        proof=proof,
        caller=session.caller,
    )
    recorded = result.recorded
    worth = "asserted, no person proven" if recorded and recorded.assurance == "A0" else "typed on this terminal"
    session.out.print(f"→ {decision} ({recorded.assurance if recorded else '-'}: {worth})", markup=False)


async def _print_trace(session: Session, orchestrator: Orchestrator, view: ProcessView) -> None:
    """Print every ended call: when, by whom, how it ended, what it cost."""
    page = await orchestrator.trace(view.process_id, limit=100, caller=session.caller)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("seq", "step", "agent", "how it ended", "ms", "USD"):
        table.add_column(heading, justify="right" if heading in {"seq", "ms", "USD"} else "left")
    for entry in page.entries:
        if entry.event in TRACE_KINDS_SHOWN:
            verdict = entry.verdict or ""
            style = "" if verdict in {"ok", ""} else "red"
            table.add_row(
                str(entry.seq), entry.call or entry.step or "", entry.agent or "", text.clean(entry.summary),
                "" if entry.ms is None else str(entry.ms), entry.cost_usd or "", style=style,
            )  # fmt: skip
    session.out.print(table)


def _as_told(out: Console, view: ProcessView, expect: dict[str, Any]) -> bool:
    """Hold the outcome against the story; a difference is printed, not hidden."""
    wanted = {"status": expect["status"], **expect["output"]}
    output = view.output if isinstance(view.output, dict) else {}
    found = {"status": view.status, **{name: output.get(name) for name in expect["output"]}}
    if found == wanted:
        return True
    out.print(f"NOT as expected: {found} instead of {wanted}", style="bold red", markup=False)
    return False


def _epilogue(out: Console, home: Home) -> None:
    out.print(Rule("What is left", align="left"))
    out.print(
        f"Database: {home.state / 'orchestrator.db'} (the ledger's own: {home.state / 'ledger.db'})", markup=False
    )
    out.print("\nTry next:")
    command = f"{program()} {{}} --home {home.path}"
    for words in ("processes", "trace ID --step extract --data", "why ID", "verify", "check"):
        out.print(f"  {command.format(words)}", markup=False, soft_wrap=True)
    own = Path.home() / "orchestrator-home"
    out.print(f"\nYour own home: {program()} init {own}", markup=False, soft_wrap=True)
    out.print(f"For Claude Desktop, in {config_path()}:", markup=False, soft_wrap=True)
    block = json.dumps(config_block(Home(path=own, state=own / "state")), indent=2)
    out.print(Syntax(block, "json", background_color="default") if out.is_terminal else block, soft_wrap=True)
