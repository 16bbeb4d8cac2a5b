"""One home in which much has happened, made once; and copies of it for tests that change it."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest

from cli.calling import document, replaced
from process_orchestrator.assemble import Mode, open_orchestrator
from process_orchestrator.core.ports import Proof, ProofKind
from process_orchestrator.home import Home, seed_home
from process_orchestrator.settings import Settings
from process_orchestrator.views.models import ResolveRequest, SubmitRequest

INVOICES = {"done": "straight.xml", "repeated": "second.txt", "waiting": "large.xml", "rejected": "large.xml"}


@dataclass(frozen=True)
class Past:
    """A home, and its processes: `done`, `repeated` (one call failed), `waiting` (for approval), `rejected`."""

    home: Path
    done: str
    repeated: str
    waiting: str
    rejected: str

    @property
    def question(self) -> str:
        return f"{self.waiting}.e1"


@pytest.fixture(autouse=True)
def _no_settings_of_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the environment nor the home of who runs the tests leads anywhere."""
    for name in ("ORCHESTRATOR_HOME", "ORCHESTRATOR_STATE", "ORCHESTRATOR_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / "user"))


@pytest.fixture(scope="session")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    """Looked at only. Four invoices through real agents, in one engine."""
    path = tmp_path_factory.mktemp("cli") / "home"
    home = Home(path=path, state=path / "state")
    seed_home(home)
    desk = path / "agents_registry" / "document_desk.agent.yaml"
    replaced(desk, 'DOCUMENT_DESK_FAULT: ""', 'DOCUMENT_DESK_FAULT: "once:break_contract@LB-1042"')
    return anyio.run(_lived, home)


async def _lived(home: Home) -> Past:
    ids: dict[str, str] = {}
    async with open_orchestrator(home, Settings(), mode=Mode.DRIVE) as orchestrator:
        for label, name in INVOICES.items():
            request = SubmitRequest(process_type="invoice_approval", input={"document": document(name)}, label=label)
            ids[label] = (await orchestrator.submit(request)).process_id
        with anyio.fail_after(60):
            for process_id in ids.values():
                async for _ in orchestrator.changes(process_id):
                    pass
        reject = ResolveRequest(escalation_id=f"{ids['rejected']}.e1", decision="reject", note="ordered twice")
        await orchestrator.resolve(reject, proof=Proof(kind=ProofKind.ARGUMENT))
    return Past(home=home.path, **ids)


@pytest.fixture
def own_past(past: Past, tmp_path: Path) -> Past:
    """A copy, to be changed."""
    path = tmp_path / "home"
    shutil.copytree(past.home, path)
    return Past(home=path, done=past.done, repeated=past.repeated, waiting=past.waiting, rejected=past.rejected)


@pytest.fixture
def fresh_home(tmp_path: Path) -> Path:
    """A home with the shipped definitions in which nothing has happened."""
    path = tmp_path / "fresh"
    seed_home(Home(path=path, state=path / "state"))
    return path
