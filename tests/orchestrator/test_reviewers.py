"""Reviewers and the assurance that a proof gives."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from process_orchestrator.core.errors import RefusedError, StorageError
from process_orchestrator.core.facts.values import Assurance
from process_orchestrator.core.ports import Proof, ProofKind
from process_orchestrator.hosting.proofs import derive
from process_orchestrator.hosting.reviewers import Cost, Reviewers

PASSPHRASE = "correct horse battery"


class Now:
    def __init__(self) -> None:
        self.ms = 1_000_000

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def reviewers(tmp_path: Path, now: Now) -> Reviewers:
    return Reviewers(tmp_path, now_ms=now, cost=Cost(n=16))


def test_a_reviewer_is_recognised_by_the_passphrase(reviewers: Reviewers) -> None:
    reviewers.add("ana", PASSPHRASE)

    assert reviewers.verify("ana", PASSPHRASE).name == "ana"


def test_the_file_is_private_and_holds_no_passphrase(reviewers: Reviewers, tmp_path: Path) -> None:
    reviewers.add("ana", PASSPHRASE)

    [file] = tmp_path.iterdir()
    assert PASSPHRASE not in file.read_text()
    assert os.name != "posix" or stat.S_IMODE(file.stat().st_mode) == 0o600


def test_two_reviewers_with_one_passphrase_have_different_hashes(reviewers: Reviewers) -> None:
    assert reviewers.add("ana", PASSPHRASE).hash != reviewers.add("ben", PASSPHRASE).hash


@pytest.mark.parametrize(("name", "passphrase"), [("ana", "wrong passphrase"), ("nobody", PASSPHRASE)])
def test_a_wrong_name_and_a_wrong_passphrase_are_refused_alike(
    reviewers: Reviewers, name: str, passphrase: str
) -> None:
    reviewers.add("ana", PASSPHRASE)

    with pytest.raises(RefusedError, match="the reviewer or the passphrase is wrong") as refused:
        reviewers.verify(name, passphrase)
    assert refused.value.code == "BAD_ARGUMENT"
    assert passphrase not in str(refused.value)


def test_five_wrong_tries_lock_for_sixty_seconds_even_for_the_right_passphrase(reviewers: Reviewers, now: Now) -> None:
    reviewers.add("ana", PASSPHRASE)
    for _ in range(5):
        with pytest.raises(RefusedError):
            reviewers.verify("ana", "wrong passphrase")

    with pytest.raises(RefusedError, match="wait 60 s"):
        reviewers.verify("ana", PASSPHRASE)
    now.ms += 60_000
    assert reviewers.verify("ana", PASSPHRASE).name == "ana"


def test_the_lock_outlives_the_engine_and_spares_other_reviewers(
    reviewers: Reviewers, tmp_path: Path, now: Now
) -> None:
    reviewers.add("ana", PASSPHRASE)
    reviewers.add("ben", PASSPHRASE)
    for _ in range(5):
        with pytest.raises(RefusedError):
            reviewers.verify("ana", "wrong passphrase")

    again = Reviewers(tmp_path, now_ms=now, cost=Cost(n=16))
    with pytest.raises(RefusedError, match="wait"):
        again.verify("ana", PASSPHRASE)
    assert again.verify("ben", PASSPHRASE).name == "ben"


def test_a_right_passphrase_forgets_the_wrong_ones(reviewers: Reviewers) -> None:
    reviewers.add("ana", PASSPHRASE)
    for _ in range(3):
        for _ in range(4):
            with pytest.raises(RefusedError):
                reviewers.verify("ana", "wrong passphrase")
        assert reviewers.verify("ana", PASSPHRASE).name == "ana"


def test_guessed_names_do_not_grow_the_file(reviewers: Reviewers, tmp_path: Path, now: Now) -> None:
    for number in range(20):
        with pytest.raises(RefusedError):
            reviewers.verify(f"guess{number}", PASSPHRASE)
        now.ms += 60_000

    assert "guess" not in (tmp_path / "reviewer-tries.json").read_text()


def test_a_revoked_reviewer_counts_no_more_and_may_come_back(reviewers: Reviewers) -> None:
    reviewers.add("ana", PASSPHRASE)
    reviewers.revoke("ana")

    with pytest.raises(RefusedError):
        reviewers.verify("ana", PASSPHRASE)
    assert reviewers.active() == ()
    assert [reviewer.name for reviewer in reviewers.list()] == ["ana"]
    reviewers.add("ana", "another passphrase")
    assert reviewers.verify("ana", "another passphrase").name == "ana"


@pytest.mark.parametrize(
    ("name", "passphrase"), [("Ana Maria", PASSPHRASE), ("", PASSPHRASE), ("ana", "short"), ("ana", "x" * 2000)]
)
def test_bad_names_and_passphrases_are_refused(reviewers: Reviewers, name: str, passphrase: str) -> None:
    with pytest.raises(RefusedError) as refused:
        reviewers.add(name, passphrase)
    assert refused.value.code == "BAD_ARGUMENT"


def test_an_active_reviewer_is_not_overwritten(reviewers: Reviewers) -> None:
    reviewers.add("ana", PASSPHRASE)

    with pytest.raises(RefusedError, match="revoke ana"):
        reviewers.add("ana", "another passphrase")
    with pytest.raises(RefusedError, match="use one of: ana"):
        reviewers.revoke("ben")


def test_a_damaged_file_is_refused_and_left_alone(reviewers: Reviewers, tmp_path: Path) -> None:
    (tmp_path / "reviewers.json").write_text("{")

    with pytest.raises(StorageError):
        reviewers.add("ana", PASSPHRASE)
    assert (tmp_path / "reviewers.json").read_text() == "{"


@pytest.mark.parametrize(
    ("proof", "by", "channel", "assurance"),
    [
        (None, "unknown", "argument", "A0"),
        (Proof(kind=ProofKind.ARGUMENT, principal="bot"), "bot", "argument", "A0"),
        (Proof(kind=ProofKind.ELICITATION), "local", "elicitation", "A1"),
        (Proof(kind=ProofKind.TERMINAL), "local", "terminal", "A1"),
        (Proof(kind=ProofKind.PASSPHRASE, reviewer="ana", secret=PASSPHRASE), "ana", "passphrase", "A2"),
    ],
)
def test_each_proof_gives_its_level(
    reviewers: Reviewers, proof: Proof | None, by: str, channel: str, assurance: str
) -> None:
    reviewers.add("ana", PASSPHRASE)

    derived = derive(proof, reviewers)

    assert (derived.by, derived.channel, derived.assurance.value) == (by, channel, assurance)


def test_a_reviewer_who_submitted_is_no_second_person(reviewers: Reviewers) -> None:
    reviewers.add("ana", PASSPHRASE)

    derived = derive(Proof(kind=ProofKind.PASSPHRASE, reviewer="ana", secret=PASSPHRASE), reviewers, submitted_by="ana")

    assert derived.assurance is Assurance.A1


@pytest.mark.parametrize(
    "proof",
    [
        Proof(kind=ProofKind.PASSPHRASE),
        Proof(kind=ProofKind.PASSPHRASE, reviewer="ana"),
        Proof(kind=ProofKind.PASSPHRASE, reviewer="ana", secret="wrong passphrase"),
    ],
)
def test_an_incomplete_or_wrong_passphrase_proof_is_refused(reviewers: Reviewers, proof: Proof) -> None:
    reviewers.add("ana", PASSPHRASE)

    with pytest.raises(RefusedError):
        derive(proof, reviewers)
