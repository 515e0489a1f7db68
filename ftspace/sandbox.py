"""Jinja for templates that strangers wrote: what one rendering may do and make. Knows no chat and no tokenizer.

Jinja's sandbox keeps a template from Python's insides, and from nothing else. Here each rendering has so much work. It
pays for each entry into the body of a loop, macro or block, for each call, operator and filter, and for each character
and element that these make, mostly before they are made; methods and filters that only widen texts are not there.
Not bounded: the time of a comparison, a search or a sorting beyond the size of what it is done with, and the time that
compiling a source of at most so many characters takes. No clock is looked at.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextvars import ContextVar
from functools import wraps
from itertools import islice
from typing import Any, cast

from jinja2 import nodes, pass_context
from jinja2.exceptions import SecurityError, TemplateRuntimeError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

SOURCE = 500_000
"""Characters of a template."""
LONGEST = 10_000_000
"""Characters, or elements with all that is in them, of one thing that a template makes."""
WORK = 100_000_000
"""What one rendering may do: about as many characters made; some seconds at worst."""
_STEP, _ELEMENT, _PART = 200, 8, 20
"""Of a step, an element of a list that is made, and a part of something that is looked through."""
_BITS = 100_000
"""Of a number."""
_FAILS = (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, SyntaxError)
_METHODS = re.compile(
    "capitalize|casefold|count|endswith|find|format|index|is[a-z]+|join|lower|lstrip|partition|remove(pre|suf)fix|"
    "replace|rfind|rindex|rpartition|rsplit|rstrip|split|splitlines|startswith|strip|swapcase|title|upper"
)
"""Of texts."""
_WIDENING = ("batch", "center", "pprint", "slice", "striptags", "urlize", "wordwrap", "xmlattr")
"""Filters that are left out."""
_WIDE = re.compile(r"%[^%a-zA-Z]*(?:\*|\d{4})|\{[^{}]*:[^{}]*(?:\{|\d{4})")
"""Formats that ask for a width of thousands, or of any number."""
_LEFT: ContextVar[list[int]] = ContextVar("work_left")


def bounded(render: Callable[[], str]) -> str:
    """What `render` gives, with the work of one rendering. Raises jinja2's TemplateError, TypeError or ValueError."""
    token = _LEFT.set([WORK])
    try:
        return render()
    except _FAILS as error:
        raise TemplateRuntimeError(f"{type(error).__name__}: {error}") from error
    finally:
        _LEFT.reset(token)


def size_of(value: Any, deeper: int = 0) -> int:
    """About how many characters a value is, written out, with `deeper` more for each level. Raises SecurityError."""
    total, rest = 0, [(value, 1)]
    while rest:
        one, level = rest.pop()
        total += _PART + deeper * level
        if isinstance(one, str | bytes):
            total += len(one)
        elif isinstance(one, int):
            total += one.bit_length() // 3
        elif isinstance(one, Collection):
            _require(total + len(cast("Collection[Any]", one)))
            inner = cast("Mapping[Any, Any]", one).items() if isinstance(one, Mapping) else one
            rest.extend((part, level + 1) for part in cast("Collection[Any]", inner))
        _require(total)
    return total


def paid(value: Any) -> Any:
    """A value that a template had made, once it is paid for with all that is in it. Raises SecurityError."""
    _spend(size_of(value))
    return value


def _require(size: int) -> None:
    if size > LONGEST:
        raise SecurityError(f"it makes something longer than {LONGEST:,} characters")


def _spend(work: int) -> None:
    left = _LEFT.get()
    left[0] -= work
    if left[0] < 0:
        raise SecurityError("it does more than a chat template needs to")


def _make(size: int) -> None:
    """Pays for something before it is made."""
    _require(size)
    _spend(size)


def _pay_for(value: Any, each: int = _ELEMENT) -> None:
    """Pays for something that was made of what was paid for, or was there."""
    if isinstance(value, str | bytes):
        _make(len(value))
    elif isinstance(value, Collection):
        _make(each * len(cast("Collection[Any]", value)))


class Sandbox(ImmutableSandboxedEnvironment):
    """An environment whose templates are to be rendered within `bounded`."""

    intercepted_binops = frozenset(("+", "*", "**", "%"))

    def __init__(self, **options: Any) -> None:
        """The options are jinja2's. Nothing is worked out at compile time, where nobody pays."""
        super().__init__(**options, optimized=False, finalize=_written)
        del self.globals["lipsum"]
        self.filters = {name: paid_filter(name, run) for name, run in self.filters.items() if name not in _WIDENING}

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        if len(source) > SOURCE:
            raise SecurityError(f"it is longer than {SOURCE:,} characters")
        try:
            tree = _Paying().visit(super()._parse(source, name, filename))
        except _FAILS as error:
            raise TemplateRuntimeError(f"{type(error).__name__}: {error}") from error
        return tree.set_environment(self)

    def entered(self, cost: int) -> bool:
        """Pays for an entry into a body."""
        _spend(cost)
        return True

    literal = staticmethod(paid)

    def joined(self, *parts: Any) -> str:
        """What `~` makes."""
        _make(size_of(parts))
        return "".join(map(str, parts))

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Whether a template may have it."""
        if isinstance(obj, str | bytes | int | float) and not _METHODS.fullmatch(attr):
            return False
        return super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """The sandbox's `format`, with a look at what it will make."""
        wrapped = super().wrap_str_format(value)
        if wrapped is None:
            return None
        run: Callable[..., str] = wrapped

        def formatted(*args: Any, **named: Any) -> str:
            _check_format(value.__self__, "{", (args, named))
            return run(*args, **named)

        return formatted

    def call(self, context: Context, obj: Any, /, *args: Any, **named: Any) -> Any:
        """Calls something for a template."""
        _spend(_STEP)
        of = getattr(obj, "__self__", None)
        if isinstance(of, str):
            _spend(len(of))
            if obj.__name__ == "join":
                args = tuple(map(_settled, args))
                _before_join(args[0] if args else (), of)
            elif before := _BEFORE.get(obj.__name__):
                before(of, *args)
        result = super().call(context, obj, *args, **named)
        _pay_for(result, 50)
        return result

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Works out an operator for a template."""
        if operator == "+" and isinstance(left, str) and isinstance(right, str):  # most of what most templates do
            _make(_STEP + len(left) + len(right))
            return left + right
        _spend(_STEP)
        if isinstance(left, int) and isinstance(right, int):
            bits = {"*": left.bit_length() + right.bit_length(), "**": left.bit_length() * max(0, right)}
            if bits.get(operator, 0) > _BITS:
                raise SecurityError("it makes a number that is too long")
        elif operator == "*":
            text, times = (right, left) if isinstance(left, int) else (left, right)
            if isinstance(text, str | bytes | list | tuple) and isinstance(times, int):
                _make((len(text) if isinstance(text, str | bytes) else size_of(text)) * max(0, times))
        elif operator == "%" and isinstance(left, str):
            _check_format(left, "%", right)
        result = super().call_binop(context, operator, left, right)
        _pay_for(result)
        return result


class _Paying(NodeTransformer):
    """Has each body begin with what an entry into it costs; what is written as one is paid for as one."""

    def _body(self, node: Any) -> Any:
        data = sum(len(one.data) for one in node.find_all(nodes.TemplateData))
        cost = _STEP + data + _ELEMENT * sum(1 for _ in node.find_all(nodes.Node))
        self.generic_visit(node)
        entry = _own_call("entered", [nodes.Const(cost)], node.lineno)
        if isinstance(node, nodes.For) and node.test is not None:
            node.test = nodes.And(entry, node.test, lineno=node.lineno)
        node.body.insert(0, nodes.ExprStmt(entry, lineno=node.lineno))
        return node

    visit_For = visit_Macro = visit_CallBlock = visit_Block = _body

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _own_call("joined", node.nodes, node.lineno)

    def _literal(self, node: Any) -> nodes.Node:
        self.generic_visit(node)
        return _own_call("literal", [node], node.lineno) if getattr(node, "ctx", "load") == "load" else node

    visit_List = visit_Dict = visit_Tuple = _literal


def _own_call(name: str, args: list[Any], lineno: int) -> nodes.Call:
    return nodes.Call(nodes.EnvironmentAttribute(name), args, [], None, None, lineno=lineno)


@pass_context  # else it would be called at compile time
def _written(context: Context, value: Any) -> Any:
    """Pays for what is written out."""
    _spend(len(value) if isinstance(value, str) else size_of(value))
    return value


def _settled(value: Any) -> Any:
    """A list in place of an iterator, whose elements are paid for."""
    if not isinstance(value, Iterator):
        return value
    found = list(islice(cast("Iterator[Any]", value), WORK // _STEP))
    _spend(_STEP * len(found))
    return found


def paid_filter(name: str, run: Callable[..., Any]) -> Callable[..., Any]:
    """A filter of a name that is paid for wherever it is used."""
    place = 1 if hasattr(run, "jinja_pass_arg") else 0
    before = _BEFORE.get(name)

    @wraps(run)
    def filtered(*args: Any, **named: Any) -> Any:
        _spend(_STEP)
        args = (*args[:place], _settled(args[place]), *args[place + 1 :])
        _pay_for(args[place], 1)
        if before:
            before(*args[place:], **named)
        result = run(*args, **named)
        _pay_for(result)
        return result

    return filtered


def _check_format(form: str, mark: str, values: Any) -> None:
    if _WIDE.search(form):
        raise SecurityError("it formats with a width that is too wide")
    _make(len(form) + form.count(mark) * (size_of(values) + 1000))


def _before_join(value: Any, d: Any = "", attribute: Any = None) -> None:
    _make(size_of(value) + len(str(d)) * (len(value) if isinstance(value, Collection) else 0))


def _before_replace(s: Any, old: Any, new: Any, count: Any = None) -> None:
    text = str(s)
    _make(len(text) + text.count(str(old)) * len(str(new)))


def _before_indent(s: Any, width: Any = 4, first: Any = False, blank: Any = False) -> None:
    lines = str(s).count("\n") + 1
    _make(lines * (len(width) if isinstance(width, str) else int(width)))


def _before_tojson(value: Any, ensure_ascii: Any = False, indent: Any = None, separators: Any = None, **_: Any) -> None:
    width = len(indent) if isinstance(indent, str) else int(indent or 0)
    _make(size_of(value, max(0, width) + len("".join(separators or ()))))


def _before_sum(iterable: Any, attribute: Any = None, start: Any = 0) -> None:
    if not isinstance(start, int | float):
        raise SecurityError("it adds up what are no numbers")


def _before_round(value: Any, precision: Any = 0, method: Any = "common") -> None:
    if not -100 <= int(precision) <= 100:
        raise SecurityError(f"it rounds to {precision} digits")


_BEFORE: dict[str, Callable[..., None]] = {
    "join": _before_join,
    "replace": _before_replace,
    "indent": _before_indent,
    "tojson": _before_tojson,
    "sum": _before_sum,
    "round": _before_round,
    "format": lambda value, *args, **named: _check_format(str(value), "%", named or args),
    "string": lambda value: _make(size_of(value)),
}
"""Looks at what filters, and methods of texts, will make."""
