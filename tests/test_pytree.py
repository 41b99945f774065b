"""Trees: flatten, unflatten and map."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest

from rustorch.pytree import tree_flatten, tree_leaves, tree_map, tree_unflatten


class Point(NamedTuple):
    x: Any
    y: Any


@dataclass(frozen=True)
class Layer:
    weight: Any
    bias: Any
    name: str = field(default="layer", metadata={"static": True})
    made: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        assert isinstance(self.weight, int), "__init__ must not run when a tree is built"


TREES = [
    5,
    None,
    [],
    {},
    [1, [2, (3,)], ()],
    {"b": 1, "a": {"c": (2, None)}},
    Point(1, [2, 3]),
    Layer(1, 2, "first"),
    OrderedDict(b=1, a=2),
    (Point(Layer(1, 2), {"k": 3}), None, "text"),
]


@pytest.mark.parametrize("tree", TREES, ids=repr)
def test_unflatten_restores_a_flattened_tree(tree: Any) -> None:
    leaves, structure = tree_flatten(tree)
    again = tree_unflatten(leaves, structure)
    assert again == tree
    assert type(again) is type(tree)
    assert len(leaves) == structure.size == len(list(structure.paths()))
    assert tree_flatten(again)[1] == structure


def test_leaves_are_in_order_and_none_is_no_leaf() -> None:
    assert tree_leaves({"b": 1, "a": [2, None, Point(3, 4)], "c": Layer(5, 6)}) == [1, 2, 3, 4, 5, 6, 0]


def test_paths_read_like_the_code_that_reaches_the_leaf() -> None:
    structure = tree_flatten({"a": [1, Point(2, 3)], "b": Layer(4, 5)})[1]
    assert list(structure.paths("tree")) == [
        "tree['a'][0]",
        "tree['a'][1].x",
        "tree['a'][1].y",
        "tree['b'].weight",
        "tree['b'].bias",
        "tree['b'].made",
    ]


def test_tree_map_builds_dataclasses_without_init() -> None:
    made = tree_map(str, Layer(1, 2, "kept"))
    assert (made.weight, made.bias, made.name) == ("1", "2", "kept")


def test_a_mapped_defaultdict_keeps_its_factory_and_the_original_does_not_change() -> None:
    tree = defaultdict(list, a=1)
    made = tree_map(lambda x: x + 1, tree)
    assert made["a"] == 2 and made["new"] == []
    assert dict(tree) == {"a": 1}


def test_structures_differ_by_type_keys_length_and_static_fields() -> None:
    structures = [
        tree_flatten(t)[1] for t in ([1], (1,), {"a": 1}, {"b": 1}, [1, 2], 1, None, Layer(1, 2, "x"), Layer(1, 2, "y"))
    ]
    for i, one in enumerate(structures):
        for k, other in enumerate(structures):
            assert (one == other) == (i == k), (one, other)


def test_structures_print_as_trees_with_stars() -> None:
    assert repr(tree_flatten({"a": [1, None], "b": (Point(1, 2),)})[1]) == "{'a': [*, None], 'b': (Point(x=*, y=*),)}"


def test_errors_show_both_structures() -> None:
    with pytest.raises(ValueError, match=r"1 leaves for a structure of 2, \[\*, \*\]"):
        tree_unflatten([1], tree_flatten([1, 2])[1])
    with pytest.raises(ValueError, match=r"different structures, \[\*, \*\] and \(\*, \*\)"):
        tree_map(lambda a, b: a, [1, 2], (1, 2))
