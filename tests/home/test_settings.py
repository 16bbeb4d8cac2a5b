"""Settings: a file, a variable for each key, and nothing that is not known."""

from pathlib import Path

import pytest

from process_orchestrator.core.errors import RefusedError
from process_orchestrator.core.facts.values import Assurance
from process_orchestrator.settings import Settings, load_settings


def written(folder: Path, text: str) -> Path:
    (folder / "orchestrator.toml").write_text(text, encoding="utf-8")
    return folder


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    assert load_settings(tmp_path, environment={}) == Settings()
    assert (Settings().assurance.floor, Settings().engine.processes_running) == (Assurance.A0, 100)


def test_a_variable_wins_over_the_file(tmp_path: Path) -> None:
    home = written(tmp_path, '[assurance]\nfloor = "A1"\n[engine]\nprocesses_running = 7\n')
    settings = load_settings(home, environment={"ORCHESTRATOR_ASSURANCE_FLOOR": "A2"})
    assert (settings.assurance.floor, settings.engine.processes_running) == (Assurance.A2, 7)


def test_variables_that_say_where_the_home_is_are_no_settings(tmp_path: Path) -> None:
    assert load_settings(tmp_path, environment={"ORCHESTRATOR_HOME": "/x", "ORCHESTRATOR_STATE": "/y"}) == Settings()


@pytest.mark.parametrize(
    ("text", "environment", "named"),
    [
        ("[engine]\nproceses_running = 7\n", {}, "engine.proceses_running"),
        ("[engin]\nprocesses_running = 7\n", {}, "engin"),
        ("[engine]\nprocesses_running = 0\n", {}, "engine.processes_running"),
        ('[assurance]\nfloor = "A9"\n', {}, "assurance.floor"),
        ("[engine", {}, "orchestrator.toml"),
        ("", {"ORCHESTRATOR_ENGINE_SPEED": "1"}, "engine.speed"),
    ],
)
def test_what_is_not_known_is_refused_by_name_with_what_is(
    tmp_path: Path, text: str, environment: dict[str, str], named: str
) -> None:
    with pytest.raises(RefusedError) as refused:
        load_settings(written(tmp_path, text), environment=environment)
    assert refused.value.code == "BAD_ARGUMENT"
    assert named in refused.value.message
    assert refused.value.do
