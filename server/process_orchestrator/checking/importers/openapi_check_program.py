"""A program of its own: is the OpenAPI document on stdin valid? Prints what is wrong with it as JSON.

Apart from ours because the validator tries the document's own patterns on its own defaults in a backtracking engine,
which a hostile document can keep busy for ever: whoever starts this limits its time. Fetches nothing.
"""

from __future__ import annotations

import json
import sys
from itertools import islice
from typing import Any, Final

MEMORY_BYTES: Final = 2_000_000_000
ERRORS_MAX: Final = 5


def main() -> None:
    """Read, check, print `[{pointer, message}]`."""
    _limit()
    document = json.load(sys.stdin.buffer)
    sys.stdout.write(json.dumps(_errors(document)))


def _errors(document: dict[str, Any]) -> list[dict[str, str]]:
    # heavy, and only this program needs it
    from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator  # noqa: PLC0415

    by_version = {"3.0": OpenAPIV30SpecValidator, "3.1": OpenAPIV31SpecValidator}
    validator = by_version[str(document["openapi"])[:3]]
    validator.resolver_handlers = {}  # the library would fetch what a reference names
    return [
        {"pointer": "".join(f"/{part}" for part in error.absolute_path), "message": str(error.message)[:300]}
        for error in islice(validator(document).iter_errors(), ERRORS_MAX)
    ]


def _limit() -> None:
    try:
        import resource  # noqa: PLC0415 - no such thing on Windows
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


if __name__ == "__main__":
    main()
