"""`orchestrator demo`: the payables process on three invoices, with real agents, in a home of its own.

One invoice goes straight through; one meets an agent that breaks its contract once; one is over the limit and waits for
a person. Nothing is staged but the one fault, which the document desk offers as a switch. Needs no key, network, model.
"""

from __future__ import annotations

import json
import shlex
import tempfile
import time
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.rule import Rule
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from process_orchestrator.assemble import Mode, open_orchestrator
from process_orchestrator.core.errors import RefusedError
from process_orchestrator.core.ports import Proof, ProofKind
from process_orchestrator.doors.claude_desktop import config_block, config_path, program
from process_orchestrator.doors.cli.asking import ask_and_resolve, question_panel, recorded_line
from process_orchestrator.doors.cli.live import ENDED, Watcher, needs_of, render
from process_orchestrator.doors.cli.session import Exit, print_json
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
TRACE_EVENTS_SHOWN: Final = frozenset({"CallSucceeded", "CallFailed", "StepSkipped", "EscalationResolved"})
NOTE: Final = "decided in the demo"


async def run_demo(session: Session, *, keep: Path | None) -> Exit:
    """Tell the whole story; OK when every invoice ended as the story says."""
    story: dict[str, Any] = json.loads(_data("story.json"))
    home = _prepare(keep, story, interactive=session.interactive)
    out = session.out
    out.print(f"Home of this demo: {home.path}", markup=False, soft_wrap=True)
    out.print("Real agents: three MCP servers, one HTTP service, one person.")
    told: list[ProcessView] = []
    as_told = True
    async with open_orchestrator(home, Settings(), mode=Mode.DRIVE) as orchestrator:
        for number, chapter in enumerate(story["chapters"], start=1):
            out.print()
            out.print(Rule(f"{number}. {chapter['title']} ({chapter['file']})", align="left"))
            view = await _tell(session, orchestrator, chapter, process_type=story["process_type"])
            as_told = _as_told(session, view, chapter["expect"]) and as_told
            told.append(view)
    if session.json:
        block = config_block(_own_home())
        processes = [view.payload() for view in told]
        print_json({"ok": as_told, "home": str(home.path), "processes": processes, "config": block})
    else:
        _epilogue(out, home, told)
    return Exit.OK if as_told else Exit.FAILED


def _data(name: str) -> str:
    return (resources.files("process_orchestrator.doors") / "demo_data" / name).read_text(encoding="utf-8")


def _prepare(keep: Path | None, story: dict[str, Any], *, interactive: bool) -> Home:
    """Seed the demo's home; set the one fault; without a person at the terminal, let A0 approve in this home only.

    Raises RefusedError for a folder that is in use: the demo changes the definitions in its home.
    """
    if keep is not None and keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
        raise RefusedError("BAD_ARGUMENT", f"{keep} is not an empty folder.", do="name a new one: the demo changes it.")
    folder = (keep or Path(tempfile.mkdtemp(prefix="orchestrator-demo-"))).absolute()
    home = Home(path=folder, state=folder / "state")
    seed_home(home)
    home.make_state()
    fault = story["fault"]
    for name, value in fault["env"].items():
        _replace(folder / "agents_registry" / f"{fault['agent']}.agent.yaml", f'{name}: ""', f'{name}: "{value}"')
    if not interactive:
        for name in FILES_WITH_ASSURANCE:
            _replace(folder / name, "min_assurance: A1", "min_assurance: A0")
    return home


def _replace(file: Path, old: str, new: str) -> None:
    words = file.read_text(encoding="utf-8")
    assert old in words, f"{file.name} no longer holds {old!r}"
    file.write_text(words.replace(old, new), encoding="utf-8")


async def _tell(
    session: Session, orchestrator: Orchestrator, chapter: dict[str, Any], *, process_type: str
) -> ProcessView:
    started = time.perf_counter()
    request = SubmitRequest(
        process_type=process_type,
        input={"document": _data(chapter["file"])},
        idempotency_key=chapter["label"],
        label=chapter["label"],
    )
    view = await orchestrator.submit(request, caller=session.caller)
    watcher = Watcher(session, orchestrator)
    while True:
        view = await watcher.follow(view)
        if view.status in ENDED:
            break
        for row in view.escalations:
            if row.status == "open":
                await _decide(session, orchestrator, row.escalation_id)
        view = await orchestrator.state(view.process_id, caller=session.caller)
    seconds = time.perf_counter() - started
    if not session.interactive:
        plan = (await orchestrator.state(view.process_id, include=("plan",), caller=session.caller)).plan
        session.out.print(render(view, needs_of(plan), width=session.out.width))
    await _print_trace(session, orchestrator, view)
    output = json.dumps(view.output, ensure_ascii=False)
    session.out.print(Text(f"Done in {seconds:.2f} s. Output: {text.clean(output)}"))
    return view


async def _decide(session: Session, orchestrator: Orchestrator, escalation_id: str) -> None:
    """Ask the person at the terminal; without one, approve as a caller would, and say what that is worth."""
    if session.interactive:
        while not await ask_and_resolve(session, orchestrator, escalation_id, note=NOTE):
            session.out.print("The demo waits for your decision; Ctrl-C ends it.", style="dim")
        return
    session.out.print(question_panel(await orchestrator.escalation(escalation_id, caller=session.caller)))
    request = ResolveRequest(escalation_id=escalation_id, decision="approve", note=NOTE)
    result = await orchestrator.resolve(request, proof=Proof(kind=ProofKind.ARGUMENT), caller=session.caller)
    session.out.print(recorded_line(result.recorded, "approve"))


async def _print_trace(session: Session, orchestrator: Orchestrator, view: ProcessView) -> None:
    """Print every ended call: when, by whom, how it ended, what it cost."""
    page = await orchestrator.trace(view.process_id, limit=100, caller=session.caller)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("seq", "step", "agent", "how it ended", "ms", "USD"):
        table.add_column(heading, justify="right" if heading in {"seq", "ms", "USD"} else "left")
    for entry in page.entries:
        if entry.event in TRACE_EVENTS_SHOWN:
            about = entry.call or entry.step or ""
            summary = text.clean(entry.summary).removeprefix(f"{about}: ")
            summary = summary.removeprefix(f"{view.process_id}.").removesuffix(f" Note: {NOTE}")
            table.add_row(
                str(entry.seq), about, entry.agent or "", Text(summary), "" if entry.ms is None else str(entry.ms),
                entry.cost_usd or "", style="" if entry.verdict in {"ok", None} else "red",
            )  # fmt: skip
    session.out.print(table)


def _as_told(session: Session, view: ProcessView, expect: dict[str, Any]) -> bool:
    """Hold the outcome against the story; a difference is shown, not hidden. Who is asked may decide otherwise."""
    if session.interactive and expect["escalations"] and view.status == "failed":
        return True
    wanted = {"status": expect["status"], **expect["output"]}
    output = view.output if isinstance(view.output, dict) else {}
    found = {"status": view.status, **{name: output.get(name) for name in expect["output"]}}
    if found == wanted:
        return True
    session.note(f"NOT as expected: {found} instead of {wanted}")
    return False


def _own_home() -> Home:
    """The home that a newcomer makes next: never the clone, never the demo's, which both may be swept away."""
    own = Path.home() / "orchestrator-home"
    return Home(path=own, state=own / "state")


def _epilogue(out: Console, home: Home, told: list[ProcessView]) -> None:
    out.print()
    out.print(Rule("What is left", align="left"))
    left = [
        f"Database: {home.state / 'orchestrator.db'} (the ledger's own: {home.state / 'ledger.db'})",
        "",
        "Try next:",
    ]
    broken, waited = told[1].process_id, told[2].process_id
    where = f"--home {shlex.quote(str(home.path))}"
    commands = (
        "processes",
        f"trace {broken} --failed",
        f"trace {broken} --step extract --data",
        f"state {waited} --include report",
        "verify",
        "check",
    )
    left += [f"  {shlex.quote(program())} {command} {where}" for command in commands]
    own = _own_home()
    left += ["", f"Your own home: {shlex.quote(program())} init {shlex.quote(str(own.path))}"]
    left.append(f"For Claude Desktop, in {config_path()}:")
    for line in left:
        out.print(line, markup=False, soft_wrap=True)
    block = json.dumps(config_block(own), indent=2)
    out.print(Syntax(block, "json", background_color="default") if out.is_terminal else block, soft_wrap=True)
