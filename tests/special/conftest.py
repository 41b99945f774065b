"""The order of the tests: all backends of a function one after the other.

mpmath takes most of the time. The numbers that it computed for a function serve all backends, as long as the same
process runs them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = [i for i, item in enumerate(items) if HERE in item.path.parents]
    order: dict[tuple[str, str, str], int] = {}

    def rank(item: pytest.Item) -> int:
        parameters = getattr(item, "callspec", None)
        values = {} if parameters is None else parameters.params
        case = item.nodeid.partition("[")[0], getattr(values.get("function"), "name", ""), values.get("dtype", "")
        return order.setdefault(case, len(order))

    for place, item in zip(places, sorted([items[i] for i in places], key=rank), strict=True):
        items[place] = item
