import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from domains.running import AGENTS, Keeper

Ask = Callable[[str], tuple[int, dict[str, Any]]]


def asked(port: int, path: str) -> tuple[int, dict[str, Any]]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, json.loads(response.read())


def ready(port: int) -> bool:
    try:
        return asked(port, "/health") == (200, {"status": "ok"})
    except OSError:
        return False


@contextmanager
def running(database: Path) -> Generator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    argv = [sys.executable, "vendor_directory/server.py", "--port", str(port)]
    with subprocess.Popen(argv, cwd=AGENTS, env={"VENDOR_DB": str(database)}) as service:
        try:
            deadline = time.monotonic() + 20
            while not ready(port):
                assert service.poll() is None
                assert time.monotonic() < deadline
            yield port
        finally:
            service.terminate()


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    with running(tmp_path_factory.mktemp("vendors") / "deep" / "vendors.db") as port:
        yield lambda path: asked(port, path)


def test_a_known_vendor_is_found_and_its_account_compared(ask: Ask, keeper: Callable[[str], Keeper]) -> None:
    found = {"vendor_id": "V-1001", "name": "Holm & Falk Office Supply GmbH", "payment_terms_days": 30}
    asking = {
        "?iban=DE89370400440532013000": "matches",
        "?iban=DE89%203704%200044%200532%200130%2000": "matches",
        "?iban=DE02120300000000202051": "differs",
        "": "not_given",
    }
    for query, bank_account in asking.items():
        status, vendor = ask(f"/vendors/DE811122334{query}")
        assert (status, vendor) == (200, found | {"bank_account": bank_account})
        keeper("vendor.lookup").check_output(vendor)


def test_the_account_on_file_is_never_given_away(ask: Ask) -> None:
    assert "DE89370400440532013000" not in json.dumps(ask("/vendors/DE811122334?iban=DE02120300000000202051"))


def test_a_stranger_is_404(ask: Ask) -> None:
    status, answer = ask("/vendors/IE9999999ZZ")
    assert (status, answer["error"]) == (404, "unknown_vendor")


def test_a_blocked_vendor_is_423(ask: Ask) -> None:
    status, answer = ask("/vendors/ESB11223344?iban=ES9121000418450200051332")
    assert (status, answer["error"]) == (423, "blocked_vendor")


@pytest.mark.parametrize("path", ["/vendors/x'%20OR%201=1", "/vendors/", "/", "/vendors/A/B", "/vendors/..%2f..%2fetc"])
def test_what_is_no_question_about_a_vendor_is_400(ask: Ask, path: str) -> None:
    assert ask(path)[0] == 400


def test_twenty_questions_at_once_are_all_answered(ask: Ask) -> None:
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(ask, ["/vendors/NL004455667B01"] * 20))
    assert [status for status, _ in answers] == [200] * 20


def test_a_second_start_keeps_the_vendors_on_file(tmp_path: Path) -> None:
    for _ in range(2):
        with running(tmp_path / "vendors.db") as port:
            assert asked(port, "/vendors/NL004455667B01")[1]["vendor_id"] == "V-1005"
