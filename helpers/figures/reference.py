"""The pages of reference, made from the docstrings: what a user needs, and what lies in every room."""

import ast
import inspect
import re
from collections.abc import Iterator

import helpers
from helpers.figures.page import say
from helpers.places import PACKAGE


def things() -> None:
    """Show the signature and the docstring of all that `from helpers import ...` gives."""
    for name in helpers.__all__:
        thing = getattr(helpers, name)
        lines = [f"### {name}", "", f"`from helpers import {name}`, which is `{helpers.WHERE[name]}.{name}`", ""]
        lines += ["```text", f"{name}{_signature(thing)}", "```", "", *_text(thing)]
        for method, function in _methods(thing):
            lines += [f"**{name}.{method}**`{_signature(function)}`", "", *_text(function)]
        say("\n".join(lines))


def room(name: str) -> None:
    """Show what is done in a folder of the package: a line a file, and a line a public function or class of it."""
    folder = PACKAGE / name
    lines = [f"### {name}", "", _first(ast.parse((folder / "__init__.py").read_text("utf8"))), ""]
    for path in sorted(folder.rglob("*.py")):
        tree = ast.parse(path.read_text("utf8"))
        if path.name == "__init__.py":
            continue
        where = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        lines.append(f"* `{where}`: {_first(tree)}")
        lines += [f"  * `{each.name}`: {_first(each)}" for each in _public(tree)]
    say("\n".join(lines))


def rooms() -> list[str]:
    """The folders of the package that hold code, by name."""
    return sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))


def _public(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    for node in tree.body:
        if (
            isinstance(node, ast.FunctionDef | ast.ClassDef)
            and not node.name.startswith("_")
            and ast.get_docstring(node)
        ):
            yield node


def _first(node: ast.AST) -> str:
    """The first sentence of a docstring, on one line."""
    return " ".join((ast.get_docstring(node) or "").partition("\n\n")[0].split())


def _signature(thing: object) -> str:
    signature = str(inspect.signature(thing)).replace("torch.Tensor", "Tensor")
    # types are quoted here as defaults are, which stay so
    return re.sub(r"(= ?)?'([^']*)'", lambda found: found[0] if found[1] else found[2], signature)


def _methods(thing: object) -> Iterator[tuple[str, object]]:
    """The public methods of a class that say what they do."""
    for name, member in vars(thing).items() if inspect.isclass(thing) else ():
        function = getattr(member, "__func__", member)  # of a class method
        if inspect.isfunction(function) and not name.startswith("_") and function.__doc__:
            yield name, function


def _text(thing: object) -> list[str]:
    """A docstring as it stands in the source."""
    return ["```text", inspect.getdoc(thing) or "", "```", ""]
