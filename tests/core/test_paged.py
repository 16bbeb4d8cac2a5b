"""Names in pages: they read as a mapping does, and a change of one leaves what it was made of as it is."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from process_orchestrator.core import pages
from process_orchestrator.core.facts.paged import Paged, page_of, paged

NAMES = st.one_of(
    st.sampled_from(["a", "post", "poll#2", "post!undo", "odd[", "odd]"]),
    st.integers(0, 2500).map("lines[{}]".format),
    st.integers(0, 300).map("lines[{}].2".format),
)
CHANGES = st.lists(st.tuples(NAMES, st.one_of(st.none(), st.integers())))


@given(CHANGES, CHANGES)
def test_pages_read_as_a_mapping_does_and_what_they_were_made_of_stays(
    first: list[tuple[str, int | None]], then: list[tuple[str, int | None]]
) -> None:
    before = paged((name, value) for name, value in first if value is not None)
    as_before = {name: value for name, value in first if value is not None}
    after, expected = Paged(pages=dict(before.pages)), dict(as_before)
    for name, value in then:
        if value is None:
            pages.discard(after, name, before=before)
            expected.pop(name, None)
        else:
            pages.own(after, page_of(name), before=before)[name] = value
            expected[name] = value
    assert dict(before.items()) == as_before
    assert dict(after.items()) == expected
    assert sorted(after) == sorted(expected)
    assert sorted(after.values()) == sorted(expected.values())
    assert (len(after), bool(after)) == (len(expected), bool(expected))
    for name, _ in (*first, *then):
        assert after.get(name) == expected.get(name)
        assert after.get(name, -1) == expected.get(name, -1)
        assert (name in after) == (name in expected)
    assert msgspec.json.decode(msgspec.json.encode(after), type=Paged[int]) == after


def test_a_page_that_is_not_changed_is_the_same_object() -> None:
    entries: list[tuple[str, int]] = [("a", 1), ("lines[3]", 2), ("lines[300]", 3)]
    before = paged(entries)
    after = Paged(pages=dict(before.pages))
    pages.discard(after, "b", before=before)
    assert after.pages[""] is before.pages[""]
    pages.own(after, page_of("lines[301]"), before=before)["lines[301]"] = 4
    assert after.pages["lines["] is before.pages["lines["]
    assert after.pages["lines[3"] is not before.pages["lines[3"]


def test_a_hundred_neighbours_share_a_page() -> None:
    assert len({page_of(f"lines[{item}]") for item in range(10_000)}) == 100
    assert {page_of(f"lines[{item}].3") for item in range(200, 300)} == {page_of("lines[250]")}
