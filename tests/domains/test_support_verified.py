"""Every shipped agent of the support desk keeps its contracts, also where inputs are generated or broken."""

from pathlib import Path

import pytest

from domains.test_processes import seeded
from process_orchestrator.assemble import verify_agent
from process_orchestrator.usecases.verifying import VerifyRequest

pytestmark = pytest.mark.slow

CONTRACTS = (
    "ticket.read",
    "ticket.update",
    "customer.find",
    "order.find",
    "address.change",
    "shipment.track",
    "refund.issue",
    "knowledge.search",
    "mail.draft",
)


@pytest.mark.parametrize("contract", CONTRACTS)
async def test_an_agent_of_the_support_desk_keeps_its_contract(tmp_path: Path, contract: str) -> None:
    request = VerifyRequest(contract=contract, allow_writes=True, seed=28, count=30)
    view = await verify_agent(seeded(tmp_path), request)
    assert view.failures == []
