"""The order of steps and the circles in it, over names alone: each step with the steps that it needs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

Needs = Mapping[str, Collection[str]]


def in_order(needs: Needs) -> list[str]:
    """Steps after all that they need, else as written; those of a circle last."""
    done: dict[str, None] = {}
    waiting = list(needs)
    while ready := [name for name in waiting if all(need in done for need in needs[name])]:
        done.update(dict.fromkeys(ready))
        waiting = [name for name in waiting if name not in done]
    return [*done, *waiting]


def cycles(needs: Needs) -> Iterator[list[str]]:
    """Each circle once, from the step where it is first met."""
    told: set[str] = set()
    for name in needs:
        path = _way_back(name, needs)
        if path and not told & set(path):
            told |= set(path)
            yield path


def _way_back(start: str, needs: Needs) -> list[str]:
    """A shortest way from a step over its needs back to itself."""
    came: dict[str, str] = {}
    level = [start]
    while level:
        further: list[str] = []
        for name in level:
            for need in needs[name]:
                if need == start:
                    path = [name]
                    while path[-1] != start:
                        path.append(came[path[-1]])
                    return path[::-1]
                if need not in came:
                    came[need] = name
                    further.append(need)
        level = further
    return []
