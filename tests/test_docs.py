"""What the documents say is what there is: commands, options, the README's two lines, the changelog."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from process_orchestrator.doors.cli.main import build_app

ROOT = Path(__file__).resolve().parents[1]
COMMANDS_DOCUMENT = ROOT / "docs" / "cli.md"
EVERYWHERE = {"--home", "--state", "--json", "--help"}
"""Options that the document explains once, above its table."""


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def commands() -> Iterator[tuple[str, set[str]]]:
    """Every command by its full name, with its options."""
    yield from below(typer.main.get_command(build_app()), "")


def below(command: Any, name: str) -> Iterator[tuple[str, set[str]]]:
    children = getattr(command, "commands", {})
    if name and (not children or command.invoke_without_command):
        yield name, {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
    for child_name, child in children.items():
        yield from below(child, f"{name} {child_name}".strip())


def documented() -> dict[str, str]:
    """The rows of the table of commands: the command's name, and the whole row."""
    rows = re.findall(r"^\| `([a-z0-9 ]+?)(?: [A-Z\[][^`]*)?`.*$", text_of("docs/cli.md"), flags=re.MULTILINE)
    whole = re.findall(r"^\| `[a-z0-9 ]+?(?: [A-Z\[][^`]*)?`.*$", text_of("docs/cli.md"), flags=re.MULTILINE)
    return dict(zip(rows, whole, strict=True))


def test_every_command_is_documented_and_every_documented_command_exists() -> None:
    assert sorted(documented()) == sorted(name for name, _ in commands())


def test_every_option_is_documented_with_its_command_and_no_other() -> None:
    rows = documented()
    for name, options in commands():
        said = set(re.findall(r"--[a-z][a-z-]*", rows[name]))
        assert said - EVERYWHERE == options - EVERYWHERE, name
    said = set(re.findall(r"`(--[a-z]+)", text_of("docs/cli.md").split("| command |")[0]))
    assert said >= EVERYWHERE - {"--help"}


def test_the_two_commands_of_the_readme_are_those_that_ci_runs() -> None:
    blocks = re.findall(r"```sh\n(.*?)\n```", text_of("README.md").partition("## Use it")[0], flags=re.DOTALL)
    assert len(blocks) == 2
    clone, enter, first = blocks[0].split(" && ")
    assert clone.startswith("git clone https://")
    assert enter == f"cd {clone.rpartition('/')[2]}"
    ci = text_of(".ci/run")
    for command in (first, blocks[1]):
        assert re.search(rf"^{re.escape(command)}(?: </dev/null)?$", ci, flags=re.MULTILINE), command


def test_the_commands_in_the_readme_exist() -> None:
    known = {name for name, _ in commands()}
    said = re.findall(r"`orchestrator ((?:[a-z]+ ?)+)", text_of("README.md"))
    assert said
    for words in said:
        first, *rest = words.split()
        assert first in known or f"{first} {' '.join(rest[:1])}".strip() in known, words


def test_the_links_between_our_documents_lead_somewhere() -> None:
    for document in ("README.md", "CONTRIBUTING.md", *(f"docs/{file.name}" for file in (ROOT / "docs").glob("*.md"))):
        for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text_of(document)):
            assert ((ROOT / document).parent / target).exists(), f"{document}: {target}"


def test_the_changelog_names_what_a_user_gets() -> None:
    unreleased = text_of("CHANGELOG.md").partition("## [Unreleased]")[2]
    for word in ("`orchestrator demo`", "`invoice_approval`", "`release_report`", "docs/cli.md"):
        assert word in unreleased
