"""People whose decisions count as A2: their names and slow-hashed passphrases, kept beside the database.

Not an account system: a name and a passphrase prove that somebody other than the asking program typed something it does
not know. Whoever can write this folder under the same user can add a reviewer, which is why such a decision reads
`A2-local` in views. The file `<state>/reviewers.json` is written by the command line, wrong tries by the engine alone,
in a file of their own, so that neither overwrites the other.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import time
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from process_orchestrator.core.errors import RefusedError, StorageError
from process_orchestrator.core.facts.values import Fact

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILE_NAME: Final = "reviewers.json"
TRIES_FILE_NAME: Final = "reviewer-tries.json"
FILE_MODE: Final = 0o600
PASSPHRASE_CHARACTERS_MIN: Final = 8
PASSPHRASE_BYTES_MAX: Final = 1024
WRONG_TRIES_MAX: Final = 5
UNKNOWN_NAME: Final = "?"
LOCKED_MS: Final = 60_000
SALT_BYTES: Final = 16
HASH_BYTES: Final = 32
SCRYPT_MEMORY_MAX: Final = 128 * 1024 * 1024
NAME: Final = re.compile(r"[a-z][a-z0-9_.-]{0,63}")

T = TypeVar("T", bound=Fact)


class Cost(Fact, frozen=True, kw_only=True):
    """Work of one hash, kept with it so that it may be raised later: about 0.1 s and 32 MB."""

    n: int = 2**15
    r: int = 8
    p: int = 1


class Reviewer(Fact, frozen=True, kw_only=True):
    """One reviewer. `salt` and `hash` are hexadecimal; times are epoch milliseconds."""

    name: str
    salt: str
    hash: str
    cost: Cost = Cost()
    added_at: int
    revoked_at: int | None = None


class Tries(Fact, frozen=True, kw_only=True):
    """Wrong passphrases since the last right one."""

    wrong: int = 0
    locked_until: int = 0


class _File(Fact, frozen=True, kw_only=True):
    version: int = 1
    reviewers: dict[str, Reviewer] = {}


class _TriesFile(Fact, frozen=True, kw_only=True):
    tries: dict[str, Tries] = {}


class Reviewers:
    """The reviewers of one home. Every method reads the files anew: they are small, and another process writes them."""

    def __init__(self, state: Path, *, now_ms: Callable[[], int] | None = None, cost: Cost | None = None) -> None:
        self._path, self._tries_path = state / FILE_NAME, state / TRIES_FILE_NAME
        self._now_ms = now_ms or (lambda: time.time_ns() // 1_000_000)
        self._cost = cost or Cost()

    def add(self, name: str, passphrase: str) -> Reviewer:
        """Add a reviewer, or bring a revoked one back with a new passphrase. Raises RefusedError BAD_ARGUMENT."""
        if not NAME.fullmatch(name):
            raise RefusedError(
                "BAD_ARGUMENT",
                f"{name!r} is no reviewer name.",
                do="use lower-case letters, digits, `_`, `.` and `-`, a letter first, at most 64 characters.",
            )
        if len(passphrase) < PASSPHRASE_CHARACTERS_MIN or len(passphrase.encode()) > PASSPHRASE_BYTES_MAX:
            raise RefusedError(
                "BAD_ARGUMENT",
                "the passphrase is too short or too long.",
                do=f"use {PASSPHRASE_CHARACTERS_MIN} characters or more, at most {PASSPHRASE_BYTES_MAX} bytes.",
            )
        known = self._read().reviewers
        if name in known and known[name].revoked_at is None:
            raise RefusedError(
                "BAD_ARGUMENT",
                f"reviewer {name} exists.",
                do=f"run `orchestrator reviewers revoke {name}` first to change the passphrase.",
            )
        salt = secrets.token_bytes(SALT_BYTES)
        reviewer = Reviewer(
            name=name,
            salt=salt.hex(),
            hash=_hash(passphrase, salt, self._cost).hex(),
            cost=self._cost,
            added_at=self._now_ms(),
        )
        _write(self._path, _File(reviewers={**known, name: reviewer}))
        return reviewer

    def revoke(self, name: str) -> Reviewer:
        """Let a reviewer's passphrase count no more; what they decided stands. Raises RefusedError BAD_ARGUMENT."""
        known = self._read().reviewers
        found = known.get(name)
        if found is None or found.revoked_at is not None:
            active = ", ".join(reviewer.name for reviewer in self.active()) or "none"
            raise RefusedError("BAD_ARGUMENT", f"no active reviewer is called {name!r}.", do=f"use one of: {active}.")
        revoked = msgspec.structs.replace(found, revoked_at=self._now_ms())
        _write(self._path, _File(reviewers={**known, name: revoked}))
        return revoked

    def list(self) -> tuple[Reviewer, ...]:
        """All reviewers, revoked ones too, by name."""
        return tuple(sorted(self._read().reviewers.values(), key=lambda reviewer: reviewer.name))

    def active(self) -> tuple[Reviewer, ...]:
        return tuple(reviewer for reviewer in self.list() if reviewer.revoked_at is None)

    def verify(self, name: str, passphrase: str) -> Reviewer:
        """The reviewer whose passphrase this is. Takes about 0.1 s of processor time: not for an event loop.

        Raises RefusedError BAD_ARGUMENT for a wrong name or passphrase (told alike), and while locked.
        """
        now = self._now_ms()
        tries = self._read_tries().tries
        found = self._read().reviewers.get(name)
        mine = tries.get(name if found else UNKNOWN_NAME, Tries())
        if now < mine.locked_until:
            seconds = -(-(mine.locked_until - now) // 1000)
            raise RefusedError(
                "BAD_ARGUMENT",
                f"{WRONG_TRIES_MAX} wrong passphrases for reviewer {name}.",
                do=f"wait {seconds} s, then try again.",
            )
        known = found if found is not None and found.revoked_at is None else None
        # A name without a hash is weighed against nothing, at the same price, so that time does not tell names apart.
        salt = bytes.fromhex(known.salt) if known else bytes(SALT_BYTES)
        given = _hash(passphrase, salt, known.cost if known else self._cost)
        right = hmac.compare_digest(given, bytes.fromhex(known.hash) if known else bytes(HASH_BYTES))
        if known is None or not right:
            self._count_wrong(name, now)
            raise RefusedError(
                "BAD_ARGUMENT",
                "the reviewer or the passphrase is wrong.",
                do="type them again; `orchestrator reviewers list` shows the names.",
            )
        if mine.wrong:
            _write(self._tries_path, _TriesFile(tries={key: value for key, value in tries.items() if key != name}))
        return known

    def _count_wrong(self, name: str, now: int) -> None:
        tries = self._read_tries().tries
        # Names nobody could have are counted as one, else a guesser of names would grow the file without end.
        counted = name if name in self._read().reviewers else UNKNOWN_NAME
        wrong = tries.get(counted, Tries()).wrong + 1
        locked = wrong >= WRONG_TRIES_MAX
        updated = Tries(wrong=0 if locked else wrong, locked_until=now + LOCKED_MS if locked else 0)
        kept = {key: value for key, value in tries.items() if value.wrong or value.locked_until > now}
        _write(self._tries_path, _TriesFile(tries={**kept, counted: updated}))

    def _read(self) -> _File:
        return _decode(self._path, _File)

    def _read_tries(self) -> _TriesFile:
        return _decode(self._tries_path, _TriesFile)


def _hash(passphrase: str, salt: bytes, cost: Cost) -> bytes:
    return hashlib.scrypt(
        passphrase.encode()[:PASSPHRASE_BYTES_MAX],
        salt=salt,
        n=cost.n,
        r=cost.r,
        p=cost.p,
        maxmem=SCRYPT_MEMORY_MAX,
        dklen=HASH_BYTES,
    )


def _decode(path: Path, kind: type[T]) -> T:
    """The content of a file, or the empty one where there is none. A damaged file is refused, never replaced."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return kind()
    except (msgspec.DecodeError, OSError) as error:
        raise StorageError(f"{path} cannot be read: {error}. Do: restore it from a backup, or remove it.") from error


def _write(path: Path, content: Fact) -> None:
    """Replace a file as a whole, durable before it is visible, readable by its owner alone."""
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(msgspec.json.format(msgspec.json.encode(content), indent=2))
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(path)
