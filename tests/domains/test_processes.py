"""The shipped process types from end to end: real agents, the real engine, a home of its own."""

import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest

from domains.running import AGENTS, ROOT
from process_orchestrator.assemble import Mode, open_orchestrator
from process_orchestrator.core.errors import RefusedError
from process_orchestrator.core.ports import Proof, ProofKind
from process_orchestrator.home import Home
from process_orchestrator.orchestrator import Orchestrator
from process_orchestrator.settings import Settings
from process_orchestrator.views.models import Caller, EscalationView, ProcessView, ResolveRequest, SubmitRequest

CALLER = Caller(channel="cli")
RESTING = {"completed", "failed", "cancelled", "waiting_human"}


def seeded(folder: Path) -> Home:
    shutil.copytree(ROOT / "contracts", folder / "contracts")
    shutil.copytree(AGENTS, folder / "agents_registry", ignore=shutil.ignore_patterns("__pycache__"))
    return Home(path=folder, state=folder / "state")


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


class Desk:
    """A person at a terminal, with a home of their own."""

    def __init__(self, home: Home, orchestrator: Orchestrator) -> None:
        self.home, self.orchestrator = home, orchestrator

    async def book(self, document: str) -> ProcessView:
        return await self.run("invoice_approval", document=document)

    async def run(self, process_type: str, **given: Any) -> ProcessView:
        view = await self.orchestrator.submit(SubmitRequest(process_type=process_type, input=given), caller=CALLER)
        return await self.rest(view)

    async def rest(self, view: ProcessView) -> ProcessView:
        with anyio.fail_after(60):
            while view.status not in RESTING:
                view = await self.orchestrator.state(view.process_id, wait_s=5, since=view.version, caller=CALLER)
        return view

    async def question(self, view: ProcessView) -> EscalationView:
        assert view.status == "waiting_human"
        (row,) = [row for row in view.escalations if row.status == "open"]
        return await self.orchestrator.escalation(row.escalation_id, caller=CALLER)

    async def decide(self, view: ProcessView, decision: str, data: Any = None) -> ProcessView:
        escalation_id = (await self.question(view)).escalation_id
        request = ResolveRequest(escalation_id=escalation_id, decision=decision, data=data)
        result = await self.orchestrator.resolve(request, proof=Proof(kind=ProofKind.TERMINAL), caller=CALLER)
        assert result.status == "resolved"
        return await self.rest(await self.orchestrator.state(view.process_id, caller=CALLER))

    async def failures(self, view: ProcessView) -> list[tuple[str | None, ...]]:
        """Call, agent, code and blame of every failed call, in order."""
        page = await self.orchestrator.trace(view.process_id, limit=100, caller=CALLER)
        failed = [entry for entry in page.entries if entry.event == "CallFailed"]
        return [(entry.call, entry.agent, entry.verdict, entry.blame) for entry in failed]

    def postings(self, invoice_number: str) -> int:
        with closing(sqlite3.connect(self.home.state / "ledger.db")) as books:
            question = "SELECT count(*) FROM posting WHERE invoice_number = ?"
            return books.execute(question, (invoice_number,)).fetchone()[0]


@pytest.fixture(scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory, story: dict[str, Any]) -> AsyncIterator[Desk]:
    home = seeded(tmp_path_factory.mktemp("home"))
    for name, value in story["fault"]["env"].items():
        edit(home.path / "agents_registry" / "document_desk.agent.yaml", f'{name}: ""', f'{name}: "{value}"')
    async with open_orchestrator(home, Settings(), mode=Mode.DRIVE) as orchestrator:
        yield Desk(home, orchestrator)


async def test_an_ordinary_invoice_is_booked_without_a_question(desk: Desk, invoices: dict[str, str]) -> None:
    view = await desk.book(invoices["straight.xml"])
    assert (view.status, view.escalations) == ("completed", [])
    assert view.output is not None
    assert (view.output["posted"], view.output["reviewed"], view.output["total"]) == (True, False, 384.07)
    assert {step.id: step.status for step in view.steps} == {
        "extract": "done",
        "vendor": "done",
        "lines": "done",
        "review": "skipped",
        "post": "done",
    }
    assert view.cost.spent_usd == "0.0043"
    assert view.cost.unknown_calls == 0


async def test_a_broken_contract_is_caught_at_its_step_and_settled_by_a_retry(
    desk: Desk, invoices: dict[str, str]
) -> None:
    view = await desk.book(invoices["second.txt"])
    assert view.status == "completed"
    assert await desk.failures(view) == [("extract.1", "document_desk", "output_mismatch", "agent")]
    assert desk.postings("LB-1042") == 1


async def test_a_large_invoice_waits_for_an_approval_of_its_exact_amount(desk: Desk, invoices: dict[str, str]) -> None:
    view = await desk.book(invoices["large.xml"])
    question = await desk.question(view)
    assert (question.kind, question.step, question.role, question.required_assurance) == (
        "approval",
        "post",
        "approver",
        "A1",
    )
    assert desk.postings("VD-88231") == 0
    view = await desk.decide(view, "approve")
    assert view.status == "completed"
    assert desk.postings("VD-88231") == 1


async def test_a_rejected_posting_is_never_booked(desk: Desk, invoices: dict[str, str]) -> None:
    view = await desk.decide(await desk.book(invoices["german.txt"]), "reject")
    assert (view.status, view.error and view.error.code) == ("failed", "rejected")
    assert desk.postings("2026/311") == 0


async def test_totals_that_do_not_add_up_are_tried_at_both_desks_and_then_asked(
    desk: Desk, invoices: dict[str, str]
) -> None:
    view = await desk.book(invoices["bad_totals.xml"])
    question = await desk.question(view)
    assert (question.kind, question.step, question.blame) == ("failed", "extract", "agent")
    assert [(one.agent, one.code) for one in question.tried or ()] == [
        ("document_desk", "ensures_failed"),
        ("document_desk", "ensures_failed"),
        ("document_desk_backup", "ensures_failed"),
        ("document_desk_backup", "ensures_failed"),
    ]
    view = await desk.decide(view, "abort")
    assert view.status == "failed"
    assert desk.postings("HF-2026-0121") == 0


async def test_an_unknown_vendor_is_a_question_that_a_vendor_record_answers(
    desk: Desk, invoices: dict[str, str]
) -> None:
    view = await desk.book(invoices["unknown_vendor.xml"])
    question = await desk.question(view)
    assert (question.kind, question.step) == ("failed", "vendor")
    assert [one.code for one in question.tried or ()] == ["unknown_vendor"]
    record = {"vendor_id": "V-2000", "name": "Quick Repairs Ltd", "payment_terms_days": 14, "bank_account": "matches"}
    with pytest.raises(RefusedError):
        await desk.decide(view, "use_output", record | {"vendor_id": "quick"})
    view = await desk.decide(view, "use_output", record)
    assert (view.status, view.output and view.output["vendor_id"]) == ("completed", "V-2000")


FINDINGS: list[tuple[Callable[[str], str], bool]] = [
    (lambda text: text.replace("DE89 3704 0044 0532 0130 00", "DE02 1203 0000 0000 2020 51"), False),
    (lambda text: text.replace("Delivery", "Gift card for the receptionist"), True),
]


@pytest.mark.parametrize(("change", "accepted"), FINDINGS, ids=["another bank account", "a line outside the policy"])
async def test_a_finding_goes_to_a_person_whose_answer_decides(
    desk: Desk, invoices: dict[str, str], change: Callable[[str], str], *, accepted: bool
) -> None:
    view = await desk.book(change(invoices["straight.xml"]))
    question = await desk.question(view)
    assert (question.kind, question.step, question.required_assurance) == ("task", "review", "A1")
    view = await desk.decide(view, "answer", {"accepted": accepted, "comment": "Asked by phone."})
    assert view.status == "completed"
    assert view.output is not None
    assert (view.output["reviewed"], view.output["review_comment"]) == (True, "Asked by phone.")
    assert view.output["posted"] is accepted
    assert ("posting_id" in view.output) is accepted


async def test_the_second_document_desk_answers_when_the_first_is_gone(
    tmp_path: Path, invoices: dict[str, str]
) -> None:
    home = seeded(tmp_path / "home")
    edit(home.path / "agents_registry" / "document_desk.agent.yaml", "document_desk/server.py", "document_desk/gone.py")
    async with open_orchestrator(home, Settings(), mode=Mode.DRIVE) as orchestrator:
        desk = Desk(home, orchestrator)
        view = await desk.book(invoices["straight.xml"])
        assert view.status == "completed"
        assert {step.id: step.agent for step in view.steps}["extract"] == "document_desk_backup"
        assert {agent for _, agent, _, _ in await desk.failures(view)} == {"document_desk"}


@pytest.fixture
async def repository(tmp_path: Path, git_environment: dict[str, str]) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()

    async def git(*words: str) -> None:
        await anyio.run_process(["git", "-C", str(folder), *words], env=git_environment)

    await git("init", "-q", "-b", "main")
    for message in ("feat: begin", "fix: mend", "Plain words"):
        await git("commit", "-q", "--allow-empty", "-m", message)
    return folder


async def test_a_report_is_written_about_any_repository(desk: Desk, repository: Path) -> None:
    (repository / "new.txt").write_text("not yet committed\n")
    view = await desk.run("release_report", repo_path=str(repository), title="Shop")
    assert (view.status, view.escalations) == ("completed", [])
    assert view.output is not None
    assert [(group["kind"], group["count"]) for group in view.output["groups"]] == [
        ("feat", 1),
        ("fix", 1),
        ("other", 1),
    ]
    assert (view.output["branch"], view.output["clean"]) == ("main", False)
    assert view.output["markdown"].startswith("# Shop\n\n- 3 commits from ")


async def test_a_report_covers_what_was_asked_for(desk: Desk, repository: Path) -> None:
    view = await desk.run("release_report", repo_path=str(repository), max_count=1, base="HEAD~2")
    assert view.output is not None
    assert view.output["commits"] == 1
    view = await desk.run("release_report", repo_path=str(repository), until="2001-01-01")
    assert view.output is not None
    assert view.output["commits"] == 0


async def test_a_folder_without_a_repository_ends_the_report_with_one_reason(desk: Desk, tmp_path: Path) -> None:
    view = await desk.run("release_report", repo_path=str(tmp_path))
    assert (view.status, view.escalations) == ("failed", [])
    assert view.error is not None
    assert (view.error.code, view.error.step, view.error.blame) == ("not_a_repository", "status", "caller")


async def test_a_relative_path_is_refused_before_anything_starts(desk: Desk) -> None:
    with pytest.raises(RefusedError) as refused:
        await desk.run("release_report", repo_path=".")
    assert refused.value.code == "INPUT_MISMATCH"


async def test_a_diff_too_large_is_left_out_of_the_report(
    tmp_path: Path, repository: Path, git_environment: dict[str, str]
) -> None:
    home = seeded(tmp_path / "home")
    edit(
        home.path / "contracts" / "repository" / "repository.diff.contract.yaml",
        "output_bytes: 4000000",
        "output_bytes: 5000",
    )
    (repository / "big.txt").write_text("word\n" * 5_000)
    await anyio.run_process(["git", "-C", str(repository), "add", "."], env=git_environment)
    async with open_orchestrator(home, Settings(), mode=Mode.DRIVE) as orchestrator:
        view = await Desk(home, orchestrator).run("release_report", repo_path=str(repository))
    assert view.status == "completed"
    assert view.output is not None
    assert "- Diff against HEAD: not available\n" in view.output["markdown"]
