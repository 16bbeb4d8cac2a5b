"""From a command line or an address to an agent's transport and name."""

import sys
from pathlib import Path

import pytest

from process_orchestrator.checking.importers.mcp_source import http_source, name_of_command, name_of_host, stdio_source
from process_orchestrator.core.errors import RefusedError


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("uvx mcp-server-time", "time"),
        ("uvx --from mcp-server-git==2026.1 mcp-server-git --repository .", "git"),
        ("npx -y @modelcontextprotocol/server-everything", "everything"),
        ("npx -y @scope/server-memory@1.2.3", "memory"),
        ("npx @playwright/mcp@latest", "playwright"),
        ("/usr/bin/python3 ledger/server.py --db x", "server"),
        ("python -m mcp_server_time", "time"),
        ("node dist/index.js", "index"),
        ("./weather-mcp", "weather"),
        ("uv run --directory /a/b my_server.py", "my"),
        ("uvx", "server"),
        ("excel-mcp-server stdio", "excel"),
        ("uvx awslabs.aws-docs-mcp-server@latest", "aws_docs"),
    ],
)
def test_an_agent_is_called_after_what_is_started(command: str, name: str) -> None:
    assert name_of_command(command.split()) == name


@pytest.mark.parametrize(
    ("host", "name"),
    [
        *(("mcp.linear.app", "linear"), ("api.example.org", "example"), ("mcp.api.org", "api")),
        *(("localhost", "local"), ("127.0.0.1", "local"), ("10.0.0.1", "server")),
    ],
)
def test_an_agent_is_called_after_its_host(host: str, name: str) -> None:
    assert name_of_host(host) == name


def test_paths_are_made_whole_links_stay_and_the_home_is_named_as_such(tmp_path: Path) -> None:
    home, folder = tmp_path / "home", tmp_path / "here"
    (home / "tools").mkdir(parents=True)
    folder.mkdir()
    (home / "tools" / "own.py").touch()
    (folder / "server.py").touch()
    (folder / "git").touch()
    (folder / "python").symlink_to(sys.executable)
    argv = ["./python", "server.py", "../home/tools/own.py", "git", "--at", ".", "http://a/b", "/etc", "absent/x"]
    source = stdio_source(argv, folder=folder, home=home)
    assert source.transport["command"] == [
        str(folder / "python"),
        str(folder / "server.py"),
        "{home}/tools/own.py",
        "git",
        "--at",
        str(folder),
        "http://a/b",
        "/etc",
        "absent/x",
    ]
    assert source.moved == ("./python", "server.py", "../home/tools/own.py", ".")
    assert str(tmp_path) not in source.source


def test_variables_are_named_and_not_copied(tmp_path: Path) -> None:
    source = stdio_source(["uvx", "x"], env=["TOKEN", "LEVEL=debug", "KEY=file:key"], folder=tmp_path, home=tmp_path)
    assert source.transport["env"] == {"TOKEN": "env:TOKEN", "LEVEL": "debug", "KEY": "file:key"}
    with pytest.raises(RefusedError, match="no name of an environment variable"):
        stdio_source(["uvx", "x"], env=["1=2"], folder=tmp_path, home=tmp_path)


@pytest.mark.parametrize("argv", [[], [""], ["a", ""], [" "], ["a"] * 201])
def test_an_empty_or_endless_command_is_refused(argv: list[str], tmp_path: Path) -> None:
    with pytest.raises(RefusedError):
        stdio_source(argv, folder=tmp_path, home=tmp_path)


def test_an_address_carries_its_secret_by_name_and_shows_no_query() -> None:
    source = http_source("https://mcp.example.org/mcp?team=7", bearer="env:TOKEN")
    assert source.transport == {
        "kind": "mcp_http",
        "url": "https://mcp.example.org/mcp?team=7",
        "auth": {"bearer": "env:TOKEN"},
    }
    assert source.source == "https://mcp.example.org/mcp"
    assert http_source("https://a.org/mcp", header=["X-Key=file:key"]).transport["auth"] == {
        "header": {"X-Key": "file:key"}
    }


def test_this_machine_is_reached_only_because_a_person_named_it() -> None:
    assert http_source("http://127.0.0.1:8000/mcp").transport["allow_loopback"] is True
    assert "allow_loopback" not in http_source("http://192.168.0.1/mcp").transport


@pytest.mark.parametrize("url", ["ftp://a/b", "https://", "https://u:p@a.org/", "https://a b/", "https://[::1/", "x"])
def test_what_is_no_address_of_a_server_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(RefusedError) as refused:
        http_source(url)
    assert "u:p" not in str(refused.value)


def test_a_secret_in_a_query_a_variable_or_a_command_does_not_slip_into_a_file(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="--query api_key=env:NAME"):
        http_source("https://a.org/mcp?api_key=s3cret")
    assert http_source("https://a.org/mcp", query=["api_key=env:K"]).transport["auth"] == {
        "query": {"api_key": "env:K"}
    }
    with pytest.raises(RefusedError, match="exclude each other"):
        http_source("https://a.org/mcp", bearer="env:T", query=["a=env:B"])
    with pytest.raises(RefusedError, match="exclude each other"):
        http_source("https://a.org/mcp", header=["a=env:B", "c=env:D"])
    with pytest.raises(RefusedError, match="looks like a secret"):
        stdio_source(["uvx", "x"], env=["GITHUB_TOKEN=s3cret"], folder=tmp_path, home=tmp_path)
    shown = stdio_source(
        ["uvx", "x", "--api-key", "s3cret", "--token=s3cret", "--keys", "k"], folder=tmp_path, home=tmp_path
    )
    assert shown.source == "uvx x --api-key … --token=… --keys k"
    assert shown.exposed == ("--api-key", "--token")


@pytest.mark.parametrize("secret", ["s3cret", "env:1", "", "env: T"])
def test_a_secret_itself_is_refused_and_not_shown(secret: str) -> None:
    with pytest.raises(RefusedError) as refused:
        http_source("https://a.org/mcp", bearer=secret)
    assert "s3cret" not in str(refused.value)
