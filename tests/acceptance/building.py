"""Writes homes for tests from outside: contracts, agents and process types as a test needs them, as real files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from process_orchestrator.checking.loading.loader import load_home
from process_orchestrator.home import Home

PROGRAMS: Final = Path(__file__).parent / "agents"
SHARED_PROGRAMS: Final = Path(__file__).parents[1] / "performing" / "agents"

Json = dict[str, Any]


def record(required: Json, **optional: Any) -> Json:
    """A closed object schema."""
    return {
        "type": "object",
        "properties": {**required, **optional},
        "required": list(required),
        "additionalProperties": False,
    }


TEXT: Final[Json] = {"type": "string"}
NUMBER: Final[Json] = {"type": "number"}
TEXTS: Final[Json] = {"type": "array", "items": TEXT}


class HomeBuilder:
    """One home in the making. Every file is written as JSON, which is YAML too."""

    def __init__(self, path: Path) -> None:
        self.home = Home(path=path, state=path / "state")
        for folder in ("contracts", "agents_registry"):
            (path / folder).mkdir(parents=True)
        self.home.make_state()

    def contract(self, name: str, *, given: Json, answer: Json, kind: str = "read", **rest: Any) -> None:
        """`given` and `answer` are the schemas of its input and output."""
        definition = {
            "contract": name,
            "version": "1.0.0",
            "summary": f"{name}, for a test.",
            "input": given,
            "output": answer,
            "effects": {"kind": kind},
            **rest,
        }
        self._write(f"contracts/{name}.contract.yaml", definition)

    def stdio_agent(self, name: str, program: Path, *arguments: str, serves: dict[str, Json], **rest: Any) -> None:
        """A program that speaks MCP; `serves` says by contract how it is bound."""
        command = ["{python}", str(program), *arguments]
        self._agent(name, {"kind": "mcp_stdio", "command": command}, serves, rest)

    def http_agent(self, name: str, url: str, *, serves: dict[str, Json], **rest: Any) -> None:
        self._agent(name, {"kind": "http", "base_url": url, "allow_loopback": True}, serves, rest)

    def human_agent(self, name: str, *, role: str, serves: list[str]) -> None:
        """A person, who is asked instead of called."""
        bound = [{"contract": contract} for contract in serves]
        transport = {"kind": "human", "role": role}
        definition = {"agent": name, "summary": f"{name}, for a test.", "transport": transport, "serves": bound}
        self._write(f"agents_registry/{name}.agent.yaml", definition)

    def process(self, name: str, *steps: Json, given: Json, **rest: Any) -> None:
        """A process type that anybody may decide about, unless `rest` says otherwise."""
        definition = {
            "process": name,
            "version": "1.0.0",
            "summary": f"{name}, for a test.",
            "input": given,
            "output": {"type": "object"},
            "plan": {"steps": list(steps), "output": {}},
            "escalation": {"min_assurance": "A0"},
            **rest,
        }
        self._write(f"contracts/{name}.process.yaml", definition)

    def built(self) -> Home:
        """The home. A definition that does not load would make every test pass or fail for the wrong reason."""
        problems = [problem for problem in load_home(self.home.path).problems if problem.level == "error"]
        assert not problems, problems
        return self.home

    def _agent(self, name: str, transport: Json, serves: dict[str, Json], rest: Json) -> None:
        bound = [{"contract": contract, "bind": bind} for contract, bind in serves.items()]
        definition = {"agent": name, "summary": f"{name}, for a test.", "transport": transport, "serves": bound, **rest}
        self._write(f"agents_registry/{name}.agent.yaml", definition)

    def _write(self, name: str, definition: Json) -> None:
        (self.home.path / name).write_text(json.dumps(definition, indent=1), encoding="utf-8")
