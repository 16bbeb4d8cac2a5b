"""`contracts verify` against an agent with one planted bug at a time."""

import json
import shlex
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from cli.calling import call
from process_orchestrator.assemble import verify_agent
from process_orchestrator.core.errors import RefusedError
from process_orchestrator.usecases.verifying import VerifyRequest
from process_orchestrator.views.verify_view import VerifyView
from verifying.home import CONTRACT, make_home

pytestmark = pytest.mark.anyio


HASTY = {"attempt_s": 0.5, "total_s": 5}


async def verified(folder: Path, bug: str = "", *, count: int = 20, **options: Any) -> VerifyView:
    timeout = HASTY if bug == "late" else CONTRACT["timeout"]  # else a busy machine would be a bug of the agent
    home = make_home(folder / "home", bug=bug, timeout=timeout)
    request = VerifyRequest(contract="order.quote", agent="quotes", count=count, allow_writes=True, **options)
    return await verify_agent(home, request)


BUGS = {
    "wrong_type": ("output_mismatch", "/total"),
    "missing_field": ("output_mismatch", "/currency"),
    "undeclared_error": ("undeclared_error", None),
    "nan": ("not_finite", None),
    "accepts_anything": ("accepted", None),
    "crash_on_empty_list": ("lost", None),
    "exception_on_long_text": ("undeclared_error", None),
    "ignores_the_key": ("not_the_same", "/id"),
    "refuses_the_second": ("undeclared_error", None),
    "late": ("timeout", None),
    "too_large": ("too_large", None),
    "wrong_enum": ("output_mismatch", "/currency"),
    "leaks_null": ("output_mismatch", "/note"),
    "off_by_one": ("ensures_failed", None),
    "refuses_the_maximum": ("bad_order", None),
    "accepts_below": ("accepted", None),
    "mangles_unicode": ("ensures_failed", None),
    "error_for_valid": ("bad_order", None),
    "extra_property": ("output_mismatch", "/internal_margin"),
    "wrong_format": ("output_mismatch", "/made_at"),
    "other_currency": ("ensures_failed", None),
    "prose": ("not_json", None),
    "key_twice": ("duplicate_key", None),
    "refuses_as_busy": ("busy", None),
    "forgets_the_id": ("output_mismatch", "/id"),
    "dies_of_invalid": ("lost", None),
}
"""Every planted bug: the code under which it must be found, and where."""

QUICK = ("nan", "crash_on_empty_list", "ignores_the_key", "accepts_below", "mangles_unicode")
"""Those looked for every day; the others in CI."""


@pytest.mark.behaviour("verify")
@pytest.mark.parametrize("bug", [bug if bug in QUICK else pytest.param(bug, marks=pytest.mark.slow) for bug in BUGS])
async def test_a_planted_bug_is_found_and_named(bug: str, tmp_path: Path) -> None:
    view = await verified(tmp_path, bug, seed=7)
    code, pointer = BUGS[bug]
    found = {(row.code, row.pointer) for row in view.failures}
    assert not view.ok
    assert code in {each for each, _ in found}, found
    if pointer is not None:
        assert (code, pointer) in found
    assert all(row.message and row.again for row in view.failures)


@pytest.mark.behaviour("verify")
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow)])
async def test_a_sound_agent_passes_whatever_the_seed(seed: int, tmp_path: Path) -> None:
    view = await verified(tmp_path, seed=seed)
    assert view.failures == []
    assert view.warnings == []
    counts = {each.check: each.passed for each in view.checks}
    assert counts == {"example": 1, "valid": 20, "invalid": 40, "repeated": 3}
    assert view.calls == 1 + 20 + 40 + 6


OVER_HTTP = ("", "nan", "exception_on_long_text", "crash_on_empty_list", "ignores_the_key", "accepts_below")


@pytest.mark.slow
@pytest.mark.behaviour("verify")
@pytest.mark.parametrize("bug", OVER_HTTP)
async def test_the_same_bugs_are_found_over_http(bug: str, tmp_path: Path) -> None:
    home = make_home(tmp_path / "home", bug=bug, http=True)
    view = await verify_agent(home, VerifyRequest(contract="order.quote", seed=7, allow_writes=True))
    codes = {row.code for row in view.failures}
    assert (BUGS[bug][0] in codes) if bug else not codes, [(row.code, row.message) for row in view.failures]


@pytest.mark.slow
async def test_the_start_of_a_program_is_no_latency_of_its_answers(tmp_path: Path) -> None:
    view = await verified(tmp_path, "starts_slowly", count=2)
    assert view.ok
    assert view.latency_ms.most < 1000


SHIPPED = ("vendor.lookup", "policy.check", "release.write", "invoice.extract --agent document_desk")


@pytest.mark.slow
@pytest.mark.parametrize("words", SHIPPED)
def test_the_shipped_agents_keep_their_contracts(words: str, tmp_path: Path) -> None:
    """Failed first: they took texts that are too long, accounts that are none, and `true` for an amount."""
    assert call("init", tmp_path).code == 0
    order = ("contracts", "verify", *words.split(), "--allow-writes", "--seed", "1", "--home", tmp_path, "--json")
    view = call(*order).json
    assert view["failures"] == []


@pytest.mark.behaviour("verify-writes")
def test_a_contract_that_writes_is_refused_before_anything_is_called(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    called = call("contracts", "verify", "order.quote", "--agent", "quotes", "--home", home.path)
    assert called.code == 2
    assert "nothing was called" in called.err
    assert not (tmp_path / "home" / "booked.log").exists()


@pytest.mark.behaviour("verify-writes")
async def test_an_agent_is_called_once_for_each_key_and_only_where_that_was_allowed(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    log = tmp_path / "home" / "booked.log"
    with pytest.raises(RefusedError, match="--allow-writes"):
        await verify_agent(home, VerifyRequest(contract="order.quote", agent="quotes"))
    irreversible = make_home(tmp_path / "other", effects={"kind": "irreversible", "resources": ["order:quote"]})
    with pytest.raises(RefusedError, match="irreversible"):
        await verify_agent(irreversible, VerifyRequest(contract="order.quote"))
    assert not log.exists()
    assert not (tmp_path / "other" / "booked.log").exists()
    view = await verify_agent(home, VerifyRequest(contract="order.quote", agent="quotes", allow_writes=True, count=3))
    assert view.ok
    assert len(log.read_text().splitlines()) == 1 + 3 + 3  # an example, the valid ones, the repeated ones: each once


@pytest.mark.behaviour("verify")
def test_a_report_is_prose_json_and_junit_and_a_failure_can_be_repeated(tmp_path: Path) -> None:
    home, junit = make_home(tmp_path / "home", bug="wrong_type"), tmp_path / "report.xml"
    order = ("contracts", "verify", "order.quote", "--agent", "quotes", "--allow-writes", "--cases", "4", "--seed", "9")
    prose = call(*order, "--home", home.path, "--junit", junit)
    assert prose.code == 1
    assert "does not keep order.quote@1.0.0 (write): " in prose.out
    assert "seed 9" in prose.out
    again = next(line.partition("again:")[2] for line in prose.out.splitlines() if "again:" in line)
    program, *words = shlex.split(again)
    assert program == "orchestrator"
    repeated = call(*words)
    assert json.loads(json.loads(repeated.out)["content"][0]["text"])["total"] == "102.0"

    view = call(*order, "--home", home.path, "--json").json
    assert (view["ok"], view["seed"], view["contract"]) == (False, 9, "order.quote")
    assert {row["code"] for row in view["failures"]} == {"output_mismatch"}

    suites = ET.fromstring(junit.read_text(encoding="utf-8"))
    assert suites.get("failures") == str(len(view["failures"]))
    assert [suite.get("name") for suite in suites] == ["examples", "valid inputs", "broken inputs", "same call twice"]
    messages = [failure.get("message", "") for failure in suites.iter("failure")]
    assert all(message.startswith("output_mismatch: ") for message in messages)


@pytest.mark.slow
async def test_one_case_alone_is_the_same_case(tmp_path: Path) -> None:
    whole = await verified(tmp_path / "a", "leaks_null", seed=7)
    row = next(row for row in whole.failures if row.check == "valid")
    alone = await verified(tmp_path / "b", "leaks_null", seed=7, only=row.id)
    assert alone.calls == 1
    assert [(each.id, each.code, each.pointer) for each in alone.failures] == [(row.id, row.code, row.pointer)]
    twice = await verified(tmp_path / "c", "ignores_the_key", seed=7, only="repeated-1")
    assert {each.id for each in twice.failures} == {"repeated-1"}
    with pytest.raises(RefusedError, match="no case valid-99"):
        await verified(tmp_path / "d", only="valid-99")


@pytest.mark.slow
async def test_an_agent_that_never_answers_is_not_waited_for_in_every_case(tmp_path: Path) -> None:
    stuck = CONTRACT["timeout"] | {"attempt_s": 0.2}
    home = make_home(tmp_path / "home", bug="late", timeout=stuck)
    request = VerifyRequest(contract="order.quote", allow_writes=True, seed=7, count=20)
    view = await verify_agent(home, request)
    assert max(view.latency_ms.most, 200) < 2_000
    assert {row.code for row in view.failures} == {"timeout"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("order.quot",), "order.quote"),
        (("order.quote", "--agent", "nobody"), "nobody"),
        (("order.quote", "--cases", "0"), "1 to 1000"),
        (("order.quote", "--allow-writes", "--junit", "/no/such/folder/report.xml"), "its folder does not exist"),
        (("order.quote", "--cases", "100000"), "1 to 1000"),
    ],
)
def test_a_wrong_call_says_what_to_write(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    called = call("contracts", "verify", *words, "--home", home.path)
    assert called.code == 2
    assert said in called.err
    assert "Do:" in called.err


def test_an_agent_that_does_not_start_is_a_failure_with_its_reason(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    file = home.path / "agents_registry" / "quotes.agent.yaml"
    file.write_text(file.read_text().replace("quotes.py", "no_such_program.py"))
    called = call("contracts", "verify", "order.quote", "--allow-writes", "--home", home.path)
    assert called.code == 1
    assert "unreachable" in called.err
