"""From the proof of a human's decision to who decided and how surely. Run by the engine alone.

A door hands a proof on and never states a level: what stands here is the only place where an assurance is made. Whether
that level is enough is `core.assurance`'s rule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from process_orchestrator.core.errors import RefusedError
from process_orchestrator.core.facts.values import Assurance, Fact
from process_orchestrator.core.ports import Proof, ProofKind

if TYPE_CHECKING:
    from process_orchestrator.hosting.reviewers import Reviewers


class Derived(Fact, frozen=True, kw_only=True):
    """Who decided, by which way it reached us, and the level of assurance that this gives."""

    by: str
    channel: str
    assurance: Assurance


def derive(proof: Proof | None, reviewers: Reviewers, *, submitted_by: str | None = None) -> Derived:
    """Weigh a proof. A passphrase costs about 0.1 s of processor time: call it off the event loop.

    A reviewer who submitted the process proves no second pair of eyes: that counts as a terminal.

    Raises RefusedError BAD_ARGUMENT for a wrong passphrase or an incomplete proof.
    """
    if proof is None:
        return Derived(by="unknown", channel=ProofKind.ARGUMENT.value, assurance=Assurance.A0)
    if proof.kind is ProofKind.PASSPHRASE:
        if not proof.reviewer or not proof.secret:
            raise RefusedError(
                "BAD_ARGUMENT", "a reviewer's name and passphrase are needed.", do="give both, or leave out `--as`."
            )
        reviewer = reviewers.verify(proof.reviewer, proof.secret)
        own = reviewer.name == submitted_by
        return Derived(
            by=reviewer.name,
            channel=ProofKind.TERMINAL.value if own else ProofKind.PASSPHRASE.value,
            assurance=Assurance.A1 if own else Assurance.A2,
        )
    level = {ProofKind.ARGUMENT: Assurance.A0, ProofKind.ELICITATION: Assurance.A1, ProofKind.TERMINAL: Assurance.A1}
    return Derived(by=proof.principal, channel=proof.kind.value, assurance=level[proof.kind])
