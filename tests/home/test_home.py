"""Where the home is, what seeding leaves alone, and that changed files are read again."""

import os
from pathlib import Path

import pytest

from process_orchestrator.home import Home, LiveHome, find_home, seed_home


def made(folder: Path) -> Home:
    return Home(path=folder, state=folder / "state")


def test_the_named_home_wins_then_the_variable_then_the_folder_then_the_user_s_data(tmp_path: Path) -> None:
    here = tmp_path / "here"
    for name in ("contracts", "agents_registry"):
        (here / name).mkdir(parents=True)
    variable = {"ORCHESTRATOR_HOME": str(tmp_path / "variable")}
    assert find_home(tmp_path / "named", environment=variable, folder=here).path == tmp_path / "named"
    assert find_home(environment=variable, folder=here).path == tmp_path / "variable"
    assert find_home(environment={}, folder=here).path == here
    elsewhere = find_home(environment={}, folder=tmp_path).path
    assert elsewhere.name == "process-orchestrator"
    assert tmp_path not in elsewhere.parents


def test_the_state_lies_in_the_home_unless_it_is_named(tmp_path: Path) -> None:
    assert find_home(tmp_path, environment={}, folder=tmp_path).state == tmp_path / "state"
    variable = {"ORCHESTRATOR_STATE": str(tmp_path / "kept")}
    assert find_home(tmp_path, environment=variable, folder=tmp_path).state == tmp_path / "kept"
    assert find_home(tmp_path, tmp_path / "named", environment=variable, folder=tmp_path).state == tmp_path / "named"


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_the_state_folder_is_its_owner_s_alone(tmp_path: Path) -> None:
    home = made(tmp_path)
    home.state.mkdir(mode=0o755)
    assert home.make_state().stat().st_mode & 0o777 == 0o700


def test_seeding_keeps_what_people_wrote(tmp_path: Path) -> None:
    home = made(tmp_path)
    assert not home.has_definitions
    mine = tmp_path / "contracts" / "payables" / "ledger.post.contract.yaml"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine", encoding="utf-8")
    written = seed_home(home)
    assert mine.read_text(encoding="utf-8") == "mine"
    assert mine not in written
    assert home.has_definitions
    assert not [file for file in written if "__pycache__" in file.parts]
    assert seed_home(home) == ()


def test_a_changed_file_is_read_again_and_a_broken_one_leaves_the_last_good_in_force(tmp_path: Path) -> None:
    home, clock = made(tmp_path), [0.0]
    seed_home(home)
    live = LiveHome(home, monotonic=lambda: clock[0])
    first = live.registry()
    file = tmp_path / "contracts" / "payables" / "policy.check.contract.yaml"
    good = file.read_text(encoding="utf-8")
    file.write_text(good + "\nx-note: changed\n", encoding="utf-8")
    assert live.registry() is first, "files are looked at no more than once a second"
    clock[0] += 1.0
    second = live.registry()
    assert second is not first
    contract = second.contract("policy.check")
    assert contract is not None
    assert b"changed" in contract.source.canonical
    file.write_text("contract: [", encoding="utf-8")
    clock[0] += 1.0
    third = live.registry()
    kept = third.contract("policy.check")
    assert kept is not None
    assert kept.source.sha256 == contract.source.sha256
    assert [problem.level for problem in third.problems if "policy.check" in problem.file] == ["error"]
