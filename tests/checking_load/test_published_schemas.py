"""The meta-schemas that editors use are the ones that the loader uses, and they agree with a second validator."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from process_orchestrator.checking.documents.yaml_reader import read

ROOT = Path(__file__).parents[2]
SHIPPED = resources.files("process_orchestrator.checking") / "meta_schemas"
KINDS = ("agent", "contract", "process")


def schema_of(kind: str) -> Any:
    return json.loads((SHIPPED / f"{kind}.schema.json").read_text(encoding="utf-8"))


def test_what_is_shipped_is_what_is_published() -> None:
    published = {path.name: path.read_bytes() for path in (ROOT / "schemas").iterdir()}
    shipped = {path.name: path.read_bytes() for path in SHIPPED.iterdir() if path.name.endswith(".json")}
    assert sorted(shipped) == [f"{kind}.schema.json" for kind in KINDS]
    assert published == shipped


@pytest.mark.parametrize("kind", KINDS)
def test_a_meta_schema_is_itself_valid(kind: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema_of(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_every_shipped_definition_is_valid_for_a_second_validator(kind: str) -> None:
    files = [*ROOT.glob(f"contracts/**/*.{kind}.yaml"), *ROOT.glob(f"agents_registry/**/*.{kind}.yaml")]
    validator = jsonschema.Draft202012Validator(schema_of(kind))
    assert files
    for file in files:
        assert list(validator.iter_errors(read(file.read_bytes(), file=file.name).value)) == [], file.name
