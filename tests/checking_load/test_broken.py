"""Broken definition files, each wrong in one way: refused with file, line, pointer and what to do instead.

The table is a record: its rows were first taken from the loader's answers and then read against the fault planted in
each file, so a change of any answer shows here and must be judged again.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from process_orchestrator.checking.loading.loader import load_home
from process_orchestrator.checking.loading.report import check_report

HERE = Path(__file__).parent

# fmt: off
REFUSED = [
    # file, code, line, pointer, what the fix says
    ("agent_twice.agent.yaml", "DUPLICATE_DEFINITION", 1, "/agent", "name this one otherwise"),
    ("approval_show_undeclared.contract.yaml", "UNDECLARED_PATH", 32, "/approval/show/0", "write `$.input.price`"),
    ("assurance_unknown.process.yaml", "BAD_VALUE", 28, "/escalation/min_assurance", "write one of A0, A1, A2, A3"),
    ("bind_error_undeclared.agent.yaml", "BIND_ERRORS", 12, "/serves/0/bind/errors/lost_order", "declared: gone"),
    ("bind_missing.agent.yaml", "BIND_KIND", 8, "/serves/0", "write bind: {method: GET, path: /x}"),
    ("bind_of_another_transport.agent.yaml", "BIND_KIND", 9, "/serves/0/bind", "write bind: {method: GET, path: /x}"),
    ("class_unknown.contract.yaml", "BAD_VALUE", 21, "/errors/sold_out/class", "write `conflict`"),
    ("condition_int_double.contract.yaml", "EXPRESSION", 29, "/requires/0/expr", "input.price > 1000.0"),
    ("condition_not_bool.contract.yaml", "NOT_BOOL", 31, "/ensures/0/expr", "compare the value with something: `==`, `<`, `in`, …"),
    ("condition_of_step_bad.process.yaml", "BAD_CONDITION", 22, "/plan/steps/1/when", "write {let: {name: binding}, expr: ...}, or one boolean binding such as $.input.x"),
    ("condition_output_in_requires.contract.yaml", "EXPRESSION", 29, "/requires/0/expr", "write a CEL expression over `input` that is true or false"),
    ("condition_syntax.contract.yaml", "EXPRESSION", 32, "/approval/when/expr", "correct the expression; the language is CEL (cel.dev)"),
    ("condition_unknown_field.contract.yaml", "EXPRESSION", 29, "/requires/0/expr", "write `input.count`"),
    ("contract_twice.contract.yaml", "DUPLICATE_DEFINITION", 1, "/contract", "raise the version, or remove one file"),
    ("contract_unknown.process.yaml", "UNKNOWN_CONTRACT", 14, "/contracts/0", "nearest: order.read, order.refund, order.draft"),
    ("data_pointer_bad.contract.yaml", "BAD_POINTER", 27, "/data/sensitive/0", "begin with /input/ or /output/, for example /input/vendor/iban"),
    ("effect_misspelt.contract.yaml", "BAD_VALUE", 23, "/effects/kind", "write `write`"),
    ("env_without_program.agent.yaml", "ENV_UNUSED", 6, "/transport/env", "remove env, or add start: {command, ready}"),
    ("error_code_ambiguous.contract.yaml", "ERROR_CODE_AMBIGUOUS", 22, "/errors/denied", "name it otherwise, or write class: denied"),
    ("error_code_reserved.contract.yaml", "ERROR_CODE_RESERVED", 22, "/errors/drifted", "name it otherwise, for example drifted_here"),
    ("example_breaks_condition.contract.yaml", "EXAMPLE_CONDITION", 34, "/examples/0", "change the example, or the condition (guard optional fields with has())"),
    ("example_cannot_be_judged.contract.yaml", "EXAMPLE_CONDITION", 34, "/examples/0", "change the example, or the condition (guard optional fields with has())"),
    ("example_error_undeclared.contract.yaml", "EXAMPLE_ERROR", 35, "/examples/1/error", "write `sold_out`"),
    ("example_invalid.contract.yaml", "EXAMPLE_INVALID", 34, "/examples/0/input/sku", "write text matching ^[A-Z]{3}$"),
    ("example_output_and_error.contract.yaml", "EXAMPLE_BOTH", 34, "/examples/0", "remove one of the two"),
    ("example_output_invalid.contract.yaml", "EXAMPLE_INVALID", 34, "/examples/0/output/left", "write integer"),
    ("human_with_bind.agent.yaml", "BIND_KIND", 8, "/serves/0/bind", "remove bind"),
    ("intake_pointer_unknown.process.yaml", "INTAKE_POINTER", 4, "/intake/requires/0", "write `/number`"),
    ("irreversible_with_undo.contract.yaml", "UNDO_IRREVERSIBLE", 23, "/effects/undo", "write effects.kind: write, or remove undo"),
    ("key_field_no_string.contract.yaml", "KEY_FIELD", 9, "/input/properties/key", "write {type: string, maxLength: 200}"),
    ("key_field_unknown.contract.yaml", "KEY_FIELD", 24, "/idempotency/key", "write `key`"),
    ("keyword_star_inside.process.yaml", "BAD_INTAKE", 4, "/intake/keywords/0", "write `stck*`"),
    ("loopback_refused.agent.yaml", "LOOPBACK", 5, "/transport/allow_loopback", "remove allow_loopback: a started agent is reached over loopback"),
    ("missing_effects.contract.yaml", "MISSING_KEY", 1, "", "add `effects: {kind: read}`"),
    ("name_of_error_bad.contract.yaml", "BAD_NAME", 21, "/errors/Sold-out", "letters, digits and _, beginning with a letter; codes and names in lower case"),
    ("name_upper_case.contract.yaml", "BAD_NAME", 1, "/contract", "lower-case words joined by dots, for example ledger.post"),
    ("negative_timeout.contract.yaml", "OUT_OF_RANGE", 25, "/timeout/attempt_s", "write a number above 0"),
    ("neither_plan_nor_contracts.process.yaml", "MISSING_KEY", 1, "", "add a plan, or the contracts that one may use"),
    ("on_failure_unknown.process.yaml", "BAD_VALUE", 19, "/plan/steps/0/on_failure", "write one of escalate, fail, skip, compensate"),
    ("parallel_without_for_each.process.yaml", "MISSING_KEY", 19, "/plan/steps/0/parallel", "add `for_each`, or remove `parallel`"),
    ("plan_after_unknown.process.yaml", "UNKNOWN_STEP", 22, "/plan/steps/1/after/0", "nearest: read"),
    ("plan_agent_unknown.process.yaml", "UNKNOWN_AGENT", 22, "/plan/steps/1/agent", "nearest: shop"),
    ("plan_argument_missing.process.yaml", "MISSING_ARGUMENT", 22, "/plan/steps/1/in", "add `total: $.…`"),
    ("plan_argument_unknown.process.yaml", "UNKNOWN_ARGUMENT", 25, "/plan/steps/1/in/totl", "remove it; order.pay takes key, number, total, note"),
    ("plan_binding_malformed.process.yaml", "BAD_BINDING", 23, "/plan/steps/1/in/number", "correct it, or write `{const: …}` for a plain text"),
    ("plan_contract_not_on_map.process.yaml", "NOT_ON_MAP", 21, "/plan/steps/1/contract", "write `order.read`, or add it to `contracts`"),
    ("plan_contract_not_served.process.yaml", "NOT_SERVED", 25, "/plan/steps/2/contract", "add order.ship@^1 to the serves of an agent"),
    ("plan_contract_unknown.process.yaml", "UNKNOWN_CONTRACT", 21, "/plan/steps/1/contract", "nearest: order.pay, order.read, order.ship"),
    ("plan_cycle.process.yaml", "CYCLE", 17, "/plan/steps/0", "remove one of these bindings or `after`"),
    ("plan_draft.process.yaml", "DRAFT", 20, "/plan/steps/1/contract", "answer what its todo says (say what it does) with `orchestrator contracts activate"),
    ("plan_item_without_for_each.process.yaml", "NO_ITEM", 19, "/plan/steps/0/in/number", "add `for_each` to the step, or bind `$.steps.<id>.output…`"),
    ("plan_key_set.process.yaml", "KEY_FIELD_SET", 25, "/plan/steps/1/in/key", "remove `key`"),
    ("plan_on_failure_code_unknown.process.yaml", "UNKNOWN_ERROR", 22, "/plan/steps/1/on_failure/gon", "write `else`"),
    ("plan_output_missing.process.yaml", "MISSING_ARGUMENT", 25, "/plan/output", "add `receipt: $.…`"),
    ("plan_path_undeclared.process.yaml", "UNDECLARED_PATH", 24, "/plan/steps/1/in/total", "write `$.steps.read.output.total`"),
    ("plan_reference_to_later_step.process.yaml", "CYCLE", 17, "/plan/steps/0", "remove one of these bindings or `after`"),
    ("plan_reference_to_no_step.process.yaml", "UNKNOWN_STEP", 26, "/plan/output/receipt", "nearest: pay, read"),
    ("plan_retry_loosened.process.yaml", "RETRY_LOOSENED", 19, "/plan/steps/0/retry/max_attempts", "write at most 3"),
    ("plan_step_twice.process.yaml", "DUPLICATE_STEP", 25, "/plan/steps/2/id", "name this one otherwise, for example read_2"),
    ("plan_when_int_double.process.yaml", "EXPRESSION", 22, "/plan/steps/1/when/expr", "total > 1000.0"),
    ("plan_when_not_boolean.process.yaml", "NOT_BOOL", 22, "/plan/steps/1/when", "bind a boolean, or write {let: {…}, expr: …}"),
    ("port_without_program.agent.yaml", "PORT_UNKNOWN", 5, "/transport/base_url", "write the port, or add start: {command, ready}"),
    ("retry_on_broken_answer.contract.yaml", "RETRY_ON", 25, "/retry/on/1", "remove `contract`, or write idempotency: {key: FIELD} or natural"),
    ("retry_on_unknown.contract.yaml", "RETRY_ON", 26, "/retry/on/1", "write `timeout`"),
    ("retry_pauses_reversed.contract.yaml", "RETRY_ORDER", 26, "/retry", "write max_s: 5 or more"),
    ("retry_without_idempotency.contract.yaml", "RETRY_UNSAFE", 25, "/retry/max_attempts", "write idempotency: {key: FIELD} or idempotency: natural, or set retry.max_attempts: 1"),
    ("schema_anchor_unknown.contract.yaml", "SCHEMA_REF", 19, "/output/properties/value/$ref", "add it to $defs at the root of this schema"),
    ("schema_backreference.contract.yaml", "SCHEMA_PATTERN", 10, "/input/properties/sku/pattern", "use a regular expression without look-around, backreferences and huge counts"),
    ("schema_bound_is_text.contract.yaml", "SCHEMA_INVALID", 18, "/output/properties/left/minimum", "see the keyword at https://json-schema.org/understanding-json-schema/reference"),
    ("schema_dangling_ref.contract.yaml", "SCHEMA_REF", 19, "/output/properties/left/$ref", "write `#/$defs/amount`"),
    ("schema_is_no_schema.contract.yaml", "SCHEMA_INVALID", 19, "/output/properties/value", "write a mapping such as {type: string}, true or false"),
    ("schema_keyword_misspelt.contract.yaml", "SCHEMA_KEYWORD", 16, "/output/requird", "write `required`"),
    ("schema_keyword_old.contract.yaml", "SCHEMA_KEYWORD", 19, "/output/properties/value/nullable", 'write `type: [string, "null"]`'),
    ("schema_keyword_unknown.contract.yaml", "SCHEMA_KEYWORD", 19, "/output/properties/value/currency", "remove it; your own keys begin with x-"),
    ("schema_no_object_root.contract.yaml", "SCHEMA_ROOT", 13, "/output", "write type: object at the root, and put the value into a property"),
    ("schema_other_dialect.contract.yaml", "SCHEMA_DIALECT", 14, "/output/$schema", "remove it, or write https://json-schema.org/draft/2020-12/schema"),
    ("schema_pattern_is_number.contract.yaml", "SCHEMA_PATTERN", 10, "/input/properties/sku/pattern", "put it in quotes"),
    ("schema_property_pattern.contract.yaml", "SCHEMA_PATTERN", 19, "/output/properties/value/patternProperties/(?=a)", "use a regular expression without look-around, backreferences and huge counts"),
    ("schema_remote_ref.contract.yaml", "SCHEMA_REF", 19, "/output/properties/value/$ref", "copy the schema into $defs of this schema and write #/$defs/NAME"),
    ("schema_required_misspelt.contract.yaml", "SCHEMA_REQUIRED", 16, "/output/required/0", "write `left`"),
    ("schema_unknown_format.contract.yaml", "SCHEMA_FORMAT", 19, "/output/properties/value/format", "remove it, or write date, date-time, time, email, uri or uuid; or a pattern"),
    ("schema_wrong_type_word.contract.yaml", "SCHEMA_TYPE", 18, "/output/properties/left/type", "write `integer`"),
    ("secret_in_file.agent.yaml", "BAD_SECRET", 5, "/transport/auth/bearer", "name where the secret lies: env:NAME or file:PATH"),
    ("sensitive_pointer_misspelt.contract.yaml", "SENSITIVE_POINTER", 27, "/data/sensitive/0", "write `/input/price`"),
    ("serves_unknown_contract.agent.yaml", "UNKNOWN_CONTRACT", 8, "/serves/0/contract", "nearest: order.read, order.refund, order.draft"),
    ("serves_unknown_version.agent.yaml", "UNKNOWN_CONTRACT", 8, "/serves/0/contract", "there are: 1.0.0"),
    ("status_of_a_tool.agent.yaml", "BIND_ERRORS", 10, "/serves/0/bind/errors/gone", "write {text: ...}"),
    ("step_closed_twice.process.yaml", "STEP_KIND", 17, "/plan/steps/0", "write one of contract:, process: and wait:"),
    ("step_name_bad.process.yaml", "BAD_NAME", 17, "/plan/steps/0/id", "lower-case letters, digits and _, beginning with a letter"),
    ("step_without_work.process.yaml", "STEP_KIND", 17, "/plan/steps/0", "write one of contract:, process: and wait:"),
    ("steps_empty.process.yaml", "EMPTY", 16, "/plan/steps", "name at least one"),
    ("total_below_attempt.contract.yaml", "TIMEOUT_ORDER", 25, "/timeout/total_s", "write total_s: 20 or more"),
    ("transport_key_of_another.agent.yaml", "UNKNOWN_KEY", 5, "/transport/command", "known here: kind, base_url"),
    ("transport_unknown.agent.yaml", "BAD_VALUE", 4, "/transport/kind", "write `http` (known: mcp_stdio, mcp_http, http, a2a, model, human)"),
    ("undo_argument_missing.contract.yaml", "MISSING_ARGUMENT", 23, "/effects/undo/in", "add `receipt: $.output.…` or `receipt: $.input.…`"),
    ("undo_argument_unknown.contract.yaml", "UNKNOWN_ARGUMENT", 23, "/effects/undo/in/reciept", "remove it; order.refund takes receipt"),
    ("undo_of_a_read.contract.yaml", "UNDO_WITHOUT_EFFECT", 23, "/effects/undo", "remove undo, or write effects.kind: write"),
    ("undo_path_undeclared.contract.yaml", "UNDECLARED_PATH", 23, "/effects/undo/in/receipt", "write `$.output.left`"),
    ("undo_root_unknown.contract.yaml", "BAD_BINDING", 23, "/effects/undo/in/receipt", "begin with one of these, or write `{const: …}`"),
    ("undo_unknown.contract.yaml", "UNKNOWN_CONTRACT", 23, "/effects/undo/contract", "nearest: order.refund, order.read, order.draft"),
    ("unknown_key.contract.yaml", "UNKNOWN_KEY", 25, "/timeouts", "write `timeout`"),
    ("unknown_key_deep.contract.yaml", "UNKNOWN_KEY", 25, "/timeout/atempt_s", "write `attempt_s`"),
    ("unknown_key_far.contract.yaml", "UNKNOWN_KEY", 27, "/owner", "your own keys begin with x-"),
    ("version_four_numbers.contract.yaml", "BAD_VERSION", 2, "/version", "write three numbers, for example 1.2.0"),
    ("version_two_numbers.contract.yaml", "BAD_VERSION", 2, "/version", "write three numbers, for example 1.2.0"),
    ("wrong_type.contract.yaml", "WRONG_TYPE", 25, "/timeout/total_s", "write a value of type number"),
    ("yaml_alias.contract.yaml", "YAML_ALIAS", 26, "/retry/on", "remove the anchor"),
    ("yaml_duplicate_key.contract.yaml", "DUPLICATE_KEY", 26, "/summary", "remove one of the two"),
    ("yaml_missing_value.contract.yaml", "YAML_SCALAR", 24, "/idempotency", 'write null, "" or a value'),
    ("yaml_number_key.contract.yaml", "NON_STRING_KEY", 21, "/errors", 'put it in quotes: "404":'),
    ("yaml_octal.contract.yaml", "YAML_SCALAR", 25, "/timeout/attempt_s", 'write a JSON number, or "020" for the text'),
    ("yaml_python_true.contract.yaml", "YAML_SCALAR", 22, "/errors/busy/retry_after", 'write true, or "True" for the text'),
    ("yaml_tab.contract.yaml", "YAML_SYNTAX", 5, "/input", "indent with spaces, not tabs; put a text that begins with @, ` or % in quotes"),
    ("yaml_tag.contract.yaml", "YAML_TAG", 2, "/version", "remove the tag; quote a text"),
    ("yaml_two_documents.contract.yaml", "MANY_DOCUMENTS", 36, "", "one definition a file"),
    ("yaml_unclosed.contract.yaml", "YAML_SYNTAX", 32, "/approval", "check brackets, quotes and indentation near this line"),
    ("yaml_unquoted_colon.process.yaml", "YAML_SYNTAX", 3, "", "check the indentation, and put a text with `: ` in it in quotes"),
]
# fmt: on


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return Path(shutil.copytree(HERE / "home", tmp_path / "home"))


def added(home: Path, name: str) -> str:
    """Put a broken file into a sound home; its name in problems."""
    folder = "agents_registry/wrong" if ".agent." in name else "contracts/wrong"
    (home / folder).mkdir()
    shutil.copy(HERE / "broken" / name, home / folder / name)
    return f"{folder}/{name}"


@pytest.mark.parametrize(("name", "code", "line", "pointer", "fix"), REFUSED, ids=[row[0] for row in REFUSED])
def test_a_broken_file_is_refused_with_its_place_and_what_to_do(
    home: Path, name: str, code: str, line: int, pointer: str, fix: str
) -> None:
    file = added(home, name)
    registry = load_home(home)
    errors = [problem for problem in registry.problems if problem.level == "error"]
    assert [(each.file, each.code, each.line, each.pointer) for each in errors] == [(file, code, line, pointer)]
    assert fix in errors[0].fix
    assert errors[0].message
    assert len(errors[0].message) <= 300
    report = msgspec.to_builtins(check_report(registry, files=[file]))
    assert report["ok"] is False
    assert [each["file"] for each in report["files"]] == [file]
    assert sorted(report["files"][0]["problems"][0]) == ["code", "fix", "level", "line", "message", "pointer"]


def test_the_table_names_every_broken_file_once() -> None:
    assert sorted(row[0] for row in REFUSED) == sorted(path.name for path in (HERE / "broken").iterdir())
    assert len(REFUSED) >= 30


def test_all_broken_files_at_once_leave_the_sound_ones_in_force(home: Path) -> None:
    before = load_home(home)
    for kind, folder in (("agent", "agents_registry"), ("contract", "contracts"), ("process", "contracts")):
        shutil.copytree(HERE / "broken", home / folder / "wrong" / kind, ignore=_but(kind))
    after = load_home(home, previous=before)
    assert {problem.file.rpartition("/")[2] for problem in after.problems} >= {row[0] for row in REFUSED}
    assert after.contract("order.read") == before.contract("order.read")
    assert after.process("order_paid") == before.process("order_paid")
    assert after.agent("shop") == before.agent("shop")


def test_a_secret_in_a_file_is_not_repeated_in_the_report(home: Path) -> None:
    added(home, "secret_in_file.agent.yaml")
    assert "hunter2" not in repr(load_home(home).problems)


def _but(kind: str) -> Callable[[str, list[str]], list[str]]:
    return lambda _folder, names: [name for name in names if f".{kind}." not in name]
