"""More than forty ways in which a process can fail, each with whose fault it is, given by hand; and the home in which they do.

The agents are real: a program over stdio whose every tool misbehaves in one way, HTTP and A2A servers on loopback whose
every byte is chosen here, ports on which nobody listens.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, NamedTuple

from performing.fleet import ScriptedServer, closed_port, says
from performing.http_misdeeds import half, resets
from pins.tools import BOOK, LOOK, changed, put
from process_orchestrator.checking.documents.pins import Pins, pin, write_pins

HOSTILE: Final = str(Path(__file__).parents[1] / "performing" / "agents" / "hostile.py")
OLD_TIMES: Final = str(Path(__file__).parents[1] / "pins" / "agents" / "old_times.py")

Json = dict[str, Any]


class Seeded(NamedTuple):
    """One failure. `do` names what is done beside submitting: nothing, or a decision, or a cancel."""

    name: str
    party: str
    code: str
    where: str  # stands in the view's `where`
    given: Json = {}
    do: str = ""


CASES: Final = (
    # the input of the process holds what an agent's contract refuses
    Seeded("number_below", "caller", "input_mismatch", "step take, /n, rule minimum, made of $.input.n", {"n": -1}),
    Seeded("rule_of_input", "caller", "requires_failed", "/n, rule small, made of $.input.n", {"n": 500}),
    Seeded("nothing_given", "caller", "missing_binding", "/n, made of $.input.n", {}),
    Seeded("refused_by_agent", "caller", "unreadable", "step take, made of $.input.n", {"n": 1}),
    Seeded("item_below", "caller", "input_mismatch", "step take[1], /n, rule minimum, made of $.item, $.input.xs", {"xs": [1, -1]}),
    Seeded("not_a_date", "caller", "input_mismatch", "/who/since, rule format, made of $.input.who", {"who": {"since": "soon"}}),
    # the plan hands on what a producer was right to give
    Seeded("output_below", "planner", "input_mismatch", "step take, /n, rule minimum, made of $.steps.give.output.n", {"n": -1}),
    Seeded("rule_of_output", "planner", "requires_failed", "/n, rule small, made of $.steps.give.output.n", {"n": 500}),
    Seeded("nothing_made", "planner", "missing_binding", "/n, made of $.steps.give.output.n", {}),
    Seeded("refused_output", "planner", "unreadable", "step take, made of $.steps.give.output.n", {"n": 1}),
    Seeded("item_of_output", "planner", "input_mismatch", "made of $.item, $.steps.give.output.xs", {"xs": [-1]}),
    Seeded("no_list", "planner", "missing_binding", "step take, /, made of $.steps.give.output.any", {"any": "one"}),
    Seeded("divided_by_zero", "planner", "condition_error", "step take", {"n": 0}),
    Seeded("wrong_result", "planner", "output_mismatch", "the output of the process, /n, rule minimum, made of $.steps.give.output.n", {"n": -1}),
    # the agent breaks what it promised
    Seeded("field_missing", "agent", "output_mismatch", "agent rogue, /total, rule required", {"text": "{}"}),
    Seeded("wrong_type", "agent", "output_mismatch", "/total, rule type", {"text": '{"total": "1"}'}),
    Seeded("broken_promise", "agent", "ensures_failed", "rule positive", {"text": '{"total": -1}'}),
    Seeded("own_error", "agent", "undeclared_error", "step act, agent rogue", {"text": "boom"}),
    Seeded("half_json", "agent", "not_json", "agent rogue", {"text": '{"total": '}),
    Seeded("same_key_twice", "agent", "duplicate_key", "agent rogue"),
    Seeded("no_number", "agent", "not_finite", "agent rogue"),
    Seeded("too_much", "agent", "too_large", "agent rogue"),
    Seeded("declared", "agent", "gone", "step act, agent rogue", {"text": "it is gone"}),
    Seeded("http_500", "agent", "undeclared_error", "agent desk"),
    Seeded("task_failed", "agent", "undeclared_error", "agent clerk"),
    Seeded("child_failed", "agent", "undeclared_error", "step below, process p_", {"text": "boom"}),
    Seeded("card_elsewhere", "agent", "unreachable", "agent liar"),
    # the agent is another than the one that was described
    Seeded("skill_gone", "contract", "drifted", "agent clerk"),
    Seeded("skill_described_anew", "contract", "drifted", "agent portal"),
    Seeded("described_anew", "contract", "drifted", "agent changed"),
    Seeded("wants_more", "contract", "drifted", "agent changed"),
    Seeded("tool_gone", "contract", "drifted", "agent changed"),
    # the way to it
    Seeded("nobody_there", "transport", "unreachable", "agent nobody"),
    Seeded("no_such_program", "transport", "unreachable", "agent absent"),
    Seeded("forbidden_address", "transport", "unreachable", "agent inside"),
    Seeded("no_answer", "transport", "timeout", "agent rogue"),
    Seeded("program_died", "transport", "lost", "agent rogue"),
    Seeded("half_an_answer", "transport", "lost", "agent desk"),
    Seeded("noise", "transport", "not_json", "agent rogue"),
    Seeded("circuit_opened", "transport", "circuit_open", "agent nobody_either", {}, "twice"),
    Seeded("a_login_page", "transport", "not_json", "agent portal"),
    # a rule, or a person
    Seeded("no_money", "policy", "over_budget", "step act, rule budget.usd"),
    Seeded("no_calls", "policy", "over_budget", "step take[2], rule budget.calls", {"xs": [1, 2, 3]}),
    Seeded("cap_of_a_day", "policy", "over_budget", "rule usd_per_day"),
    Seeded("same_again", "policy", "loop", "step again, rule same_call", {"n": 1}),
    Seeded("said_no", "policy", "rejected", "step act", {}, "reject"),
    Seeded("given_up", "policy", "aborted", "step act", {"text": "boom"}, "abort"),
    Seeded("stopped", "policy", "cancelled", "the process", {}, "cancel"),
    # ourselves: see `test_whose_fault.without_bodies`
    Seeded("body_lost", "us", "set_aside", "the process", {}, "lose_body"),
    Seeded("contract_lost", "us", "set_aside", "the process", {}, "lose_contract"),
)  # fmt: skip

NUMBER: Final[Json] = {"type": "integer"}
ANY: Final[Json] = {"type": "object"}
GIVEN: Final[Json] = {
    "type": "object",
    "properties": {
        "n": NUMBER,
        "text": {"type": "string"},
        "xs": {"type": "array", "items": NUMBER},
        "who": ANY,
        "any": {},
    },
}
TOTAL: Final[Json] = {"type": "object", "required": ["total"], "properties": {"total": {"type": "number"}}}
TAKEN: Final[Json] = {
    "type": "object",
    "required": ["n"],
    "properties": {
        "n": {**NUMBER, "minimum": 0},
        "who": {"type": "object", "properties": {"since": {"type": "string", "format": "date"}}},
    },
}


class Home:
    """Definitions as they are written into a home."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for place in ("contracts", "agents_registry"):
            (path / place).mkdir(parents=True)
        self._serves: dict[str, list[Json]] = {}

    def contract(self, name: str, agent: str, bind: Json, **more: Any) -> str:
        whole = {
            "contract": name,
            "version": "1.0.0",
            "summary": "Seeded.",
            "input": GIVEN,
            "output": TOTAL,
            "effects": {"kind": "read"},
            "retry": {"max_attempts": 1},
            **more,
        }
        self._write("contracts", f"{name}.contract", whole)
        self._serves.setdefault(agent, []).append({"contract": f"{name}@^1", "bind": bind})
        return name

    def process(self, name: str, steps: list[Json], **more: Any) -> None:
        whole = {
            "process": name,
            "version": "1.0.0",
            "summary": "Seeded.",
            "input": GIVEN,
            "output": ANY,
            "on_failure": "fail",
            "plan": {"steps": steps, "output": {}},
            **more,
        }
        self._write("contracts", f"{name}.process", whole)

    def agent(self, name: str, transport: Json, **more: Any) -> None:
        whole = {
            "agent": name,
            "summary": "Seeded.",
            "transport": transport,
            "serves": self._serves[name],
            "circuit": {"failures": 1000},
            **more,
        }
        self._write("agents_registry", f"{name}.agent", whole)

    def _write(self, place: str, name: str, whole: Json) -> None:
        (self.path / place / f"{name}.yaml").write_text(json.dumps(whole), encoding="utf-8")


def step(name: str, contract: str, **more: Any) -> Json:
    return {"id": name, "contract": contract, "in": {}, **more}


def write(home: Home, server: ScriptedServer) -> None:
    """All processes, contracts and agents of the cases."""
    _of_values(home)
    _of_agents(home)
    _of_policy(home)
    rogue = {"kind": "mcp_stdio", "command": ["{python}", HOSTILE]}
    home.agent("rogue", rogue)
    home.agent("capped", rogue, limits={"usd_per_day": 0.1})
    home.agent("changed", {"kind": "mcp_stdio", "command": ["{python}", OLD_TIMES, str(_changed(home))]})
    home.agent("absent", {"kind": "mcp_stdio", "command": ["/no/such/program"]})
    home.agent("desk", {"kind": "http", "base_url": server.url, "allow_loopback": True})
    home.agent("nobody", {"kind": "http", "base_url": f"http://127.0.0.1:{closed_port()}", "allow_loopback": True})
    gone = {"kind": "http", "base_url": f"http://127.0.0.1:{closed_port()}", "allow_loopback": True}
    home.agent("nobody_either", gone, circuit={"failures": 1, "open_s": 600})
    home.agent("inside", {"kind": "http", "base_url": "http://10.0.0.1"})
    for name in ("clerk", "liar", "portal"):
        home.agent(name, {"kind": "a2a", "card": f"{server.url}/{name}/card.json", "allow_loopback": True})
    _serve(server)


def _changed(home: Home) -> Path:
    """The tools of agent `changed` as they are now, and all that was pinned of agents before."""
    wants_more = changed(lambda tool: tool["inputSchema"]["required"].append("total"), LOOK)
    tools = put(home.path / "tools.json", changed(lambda tool: tool.update(description="Pay it.")), wants_more)
    pinned = {"changed": {"book": pin(BOOK), "look": pin(LOOK), "void": pin({**BOOK, "name": "void"})}}
    skill = {"portal": {"book": pin({"id": "book", "description": "Books one invoice."})}}
    write_pins(home.path, Pins(agents=pinned | skill))
    return tools


def _serve(server: ScriptedServer) -> None:
    server.scripts["/500"], server.scripts["/half"] = says({"why": "ill"}, status=500), half

    async def failed(heard: Any, stream: Any) -> None:
        task = {"id": "t1", "status": {"state": "failed", "message": {"parts": [{"text": "no ledger"}]}}}
        await says({"jsonrpc": "2.0", "id": heard.json["id"], "result": task})(heard, stream)

    server.scripts["/clerk"], server.scripts["/liar"] = failed, resets
    server.scripts["/portal"] = says(b"<html>Log in</html>", kind="text/html")
    for name, url in (("clerk", "/clerk"), ("portal", "/portal")):
        server.scripts[f"/{name}/card.json"] = says({"url": server.url + url, "skills": [{"id": "book"}]})
    server.scripts["/liar/card.json"] = says({"url": "http://elsewhere.example/", "skills": [{"id": "book"}]})


def _of_values(home: Home) -> None:
    echo = {"tool": "echo"}
    small = {"requires": [{"id": "small", "expr": "input.n < 100"}]}
    home.contract("value.give", "rogue", echo, output=GIVEN)
    home.contract("value.take", "rogue", echo, input=TAKEN, output=ANY, **small)
    refusing = {"tool": "fail", "errors": {"unreadable": {"text": "boom"}}}
    home.contract("value.read", "rogue", refusing, input=TAKEN, errors={"unreadable": {"class": "invalid_input"}})
    give = step("give", "value.give", **{"in": {"n": "$.input.n", "xs": "$.input.xs", "any": "$.input.any"}})
    for name in ("number_below", "rule_of_input", "nothing_given"):
        home.process(name, [give, step("take", "value.take", **{"in": {"n": "$.input.n"}, "after": ["give"]})])
    for name in ("output_below", "rule_of_output", "nothing_made"):
        home.process(name, [give, step("take", "value.take", **{"in": {"n": "$.steps.give.output.n"}})])
    home.process("refused_by_agent", [step("take", "value.read", **{"in": {"n": "$.input.n"}})])
    home.process("refused_output", [give, step("take", "value.read", **{"in": {"n": "$.steps.give.output.n"}})])
    each = {"in": {"n": "$.item"}, "item_failure": "stop"}
    home.process("item_below", [step("take", "value.take", for_each="$.input.xs", **each)])
    home.process("item_of_output", [give, step("take", "value.take", for_each="$.steps.give.output.xs", **each)])
    home.process("no_list", [give, step("take", "value.take", for_each="$.steps.give.output.any", **each)])
    home.process("not_a_date", [step("take", "value.take", **{"in": {"n": 1, "who": "$.input.who"}})])
    divided = {"let": {"n": "$.steps.give.output.n"}, "expr": "10 / n"}
    home.process("divided_by_zero", [give, step("take", "value.take", **{"in": {"n": divided}})])
    result: Json = {"type": "object", "properties": {"n": {**NUMBER, "minimum": 0}}}
    plan: Json = {"steps": [give], "output": {"n": "$.steps.give.output.n"}}
    home.process("wrong_result", [], plan=plan, output=result)


def _of_agents(home: Home) -> None:
    tools = {
        **dict.fromkeys(("field_missing", "wrong_type", "broken_promise", "half_json"), "text"),
        **dict.fromkeys(("own_error", "declared", "given_up"), "fail"),
        "same_key_twice": "twice",
        "no_number": "nan",
        "too_much": "huge",
        "no_answer": "silent",
        "program_died": "die",
        "noise": "garbage_line",
    }
    more: dict[str, Json] = {
        "broken_promise": {"ensures": [{"id": "positive", "expr": "output.total > 0.0"}]},
        "declared": {"errors": {"gone": {"class": "not_found"}}},
        "no_answer": {"timeout": {"attempt_s": 0.2, "total_s": 1}},
    }
    for name, tool in tools.items():
        bind: Json = {"tool": tool}
        if name == "declared":
            bind["errors"] = {"gone": {"text": "gone"}}
        home.contract(f"act.{name}", "rogue", bind, **more.get(name, {}))
    http = {"http_500": ("desk", "/500"), "half_an_answer": ("desk", "/half"), "nobody_there": ("nobody", "/x")}
    http["circuit_opened"] = ("nobody_either", "/x")
    for name, (agent, path) in {**http, "forbidden_address": ("inside", "/x")}.items():
        home.contract(f"act.{name}", agent, {"method": "GET", "path": path})
    skills = {"task_failed": ("clerk", "book"), "skill_gone": ("clerk", "void"), "card_elsewhere": ("liar", "book")}
    for name, (agent, skill) in {**skills, "a_login_page": ("portal", "book")}.items():
        home.contract(f"act.{name}", agent, {"skill": skill})
    home.contract("act.no_such_program", "absent", {"tool": "echo"})
    pinned = {"described_anew": ("changed", {"tool": "book"}), "wants_more": ("changed", {"tool": "look"})}
    pinned |= {"tool_gone": ("changed", {"tool": "void"}), "skill_described_anew": ("portal", {"skill": "book"})}
    for name, (agent, bind) in pinned.items():
        kind = "read" if name == "wants_more" else "write"
        home.contract(f"act.{name}", agent, bind, effects={"kind": kind})
    names = (*tools, *http, *pinned, "forbidden_address", *skills, "a_login_page", "no_such_program")
    for name in names:
        more_of = {"on_failure": "escalate"} if name == "given_up" else {}
        home.process(name, [step("act", f"act.{name}", **{"in": {"text": "$.input.text"}})], **more_of)

    below: Json = {"id": "below", "process": "own_error", "in": {"text": "$.input.text"}}
    home.process("child_failed", [below])


def _of_policy(home: Home) -> None:
    free, dear = {"output": ANY}, {"output": ANY, "cost": {"per_call_usd": 0.5}}
    home.contract("rule.dear", "rogue", {"tool": "echo"}, **dear)
    home.contract("rule.capped", "capped", {"tool": "echo"}, **dear)
    home.contract("rule.asked", "rogue", {"tool": "echo"}, approval={"min_assurance": "A0"}, **free)
    home.contract("rule.hangs", "rogue", {"tool": "silent"}, **free)
    home.process("no_money", [step("act", "rule.dear")], budget={"usd": 0.1})
    home.process("cap_of_a_day", [step("act", "rule.capped")])
    taken = {"in": {"n": "$.input.n"}}
    home.process(
        "no_calls",
        [step("take", "value.take", for_each="$.input.xs", item_failure="stop", **{"in": {"n": "$.item"}})],
        budget={"calls": 2},
    )
    home.process(
        "same_again",
        [step("take", "value.take", **taken), step("again", "value.take", after=["take"], **taken)],
        limits={"same_call": 1},
    )
    home.process("stopped", [step("act", "rule.hangs")])
    home.contract("rule.lost", "rogue", {"tool": "echo"}, approval={"min_assurance": "A0"}, **free)
    for name in ("said_no", "body_lost", "contract_lost"):
        before = step("before", "value.give", **{"in": {"text": name}})
        asked = "rule.lost" if name == "contract_lost" else "rule.asked"
        act = step("act", asked, **{"in": {"text": "$.steps.before.output.text"}})
        home.process(name, [before, act], escalation={"min_assurance": "A0"})
