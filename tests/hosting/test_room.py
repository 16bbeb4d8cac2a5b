"""Real ends of room and of rights: a full file system, a limit on the size of files, a folder that cannot be written.

Named, nothing lost, resumed alone.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("room_program.py")
TAKEN = Path(__file__).with_name("taken_program.py")
TESTS = PROGRAM.parents[1]


def lived(folder: Path, how: str, *before: str, program: Path = PROGRAM) -> dict[str, object]:
    paths = os.pathsep.join((str(TESTS), str(TESTS.parent / "server")))
    ran = subprocess.run(
        [*before, sys.executable, str(program), str(folder), how],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
        timeout=90,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def own_file_systems() -> bool:
    """Whether this user may mount a file system that nobody else sees."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return False
    mounts = [unshare, "-rm", "mount", "-t", "tmpfs", "-o", "size=1m", "none", "/mnt"]
    return subprocess.run(mounts, capture_output=True, check=False).returncode == 0


def bound_by_rights() -> tuple[str, ...] | None:
    """What starts a program as a user whom the rights of files bind, as they do not bind root; None: nothing does."""
    if os.name != "posix":
        return None
    if os.geteuid() != 0:
        return ()
    drop = (shutil.which("setpriv") or "", "--bounding-set=-all", "--inh-caps=-all")
    return (
        drop if drop[0] and subprocess.run([*drop, "true"], capture_output=True, check=False).returncode == 0 else None
    )


def assert_resumed(seen: dict[str, object], said: str) -> None:
    refused = seen["refused"]
    assert isinstance(refused, list)
    assert len(refused) == 51
    assert all(each.startswith("STORAGE_FULL: ") and said in each and " Do: " in each for each in refused)
    slowest_s = seen["slowest_s"]
    assert isinstance(slowest_s, float)
    assert slowest_s < 2
    assert seen["acknowledged_intact"]
    assert seen["paused"] == ["running"] * 20
    assert seen["ended"] == ["completed"] * 20
    assert seen["again"] == ["completed", "completed"]
    assert (seen["calls"], seen["delivered_again"]) == (40, [])
    assert seen["verified"]


@pytest.mark.behaviour("storage-full")
@pytest.mark.skipif(os.name != "posix", reason="file-size limits are POSIX's")
def test_a_limit_on_the_size_of_files_is_named_loses_nothing_and_is_got_over_alone(tmp_path: Path) -> None:
    assert_resumed(lived(tmp_path, "limit"), "no file of this program may pass")


@pytest.mark.behaviour("storage-full")
@pytest.mark.skipif(not own_file_systems(), reason="needs a file system of its own")
def test_a_full_disk_is_named_loses_nothing_and_is_got_over_alone(tmp_path: Path) -> None:
    assert_resumed(lived(tmp_path, "disk", "unshare", "-rm"), "there is no room")


def assert_named_while_taken(seen: dict[str, object], why: str, engine: str) -> None:
    refused, verified = seen["an_engine"], seen["verified_meanwhile"]
    assert isinstance(refused, str)
    assert isinstance(verified, str)
    assert engine in refused
    assert refused.endswith("Do: make the state folder writable.")
    assert verified.startswith("STORAGE_FULL: ")
    assert why in verified
    assert (seen["intact"], seen["again"], seen["verified"]) == (True, "completed", True)


@pytest.mark.behaviour("storage-full")
@pytest.mark.skipif(not own_file_systems(), reason="needs a file system of its own")
def test_a_file_system_that_is_read_only_is_named_and_once_writable_gone_on_with(tmp_path: Path) -> None:
    seen = lived(tmp_path, "mount", "unshare", "-rm", program=TAKEN)
    assert_named_while_taken(seen, "its file system is read-only", "Read-only file system")


@pytest.mark.behaviour("storage-full")
@pytest.mark.skipif(bound_by_rights() is None, reason="needs a user whom rights bind")
def test_rights_that_are_taken_away_do_not_touch_a_running_engine_and_are_named_to_the_next(tmp_path: Path) -> None:
    seen = lived(tmp_path, "rights", *(bound_by_rights() or ()), program=TAKEN)
    assert seen["under_a_running_engine"] == "completed"
    assert_named_while_taken(seen, "this user may not write it", "Permission denied")
