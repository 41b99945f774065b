"""Rules of elementwise functions: one compiled loop where the backend can make one, else as they are written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .primitive import Rule

_TEXT = """
def fusable({parameters}):
    if xp.fuse is not None and g.size >= xp.fuse_least:
        fused = xp.fuse(rule)({values})
        if fused is not NotImplemented:
            return fused
    return rule({parameters})
"""


def fusable(rule: Rule) -> Rule:
    """The rule, with its parameters: on large arrays of a backend that fuses loops, it is one loop.

    ``xp.fuse(rule)`` returns a function of what the rule takes besides ``xp``. It returns NotImplemented where the rule
    itself should be called.
    """
    code = rule.__code__
    parameters = code.co_varnames[: code.co_argcount]
    text = _TEXT.format(parameters=", ".join(parameters), values=", ".join(parameters[1:]))
    names: dict[str, Any] = {"rule": rule}
    exec(text, names)  # written above, with the rule's own names
    out: Rule = names["fusable"]
    return out
