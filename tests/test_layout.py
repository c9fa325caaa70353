"""The house: few rooms, imports that run one way from floor to floor, and no circle between files."""

import ast
from graphlib import TopologicalSorter

FLOORS = [  # from the ground up: a room imports from its own, and from those on lower floors
    {"__init__", "errors", "files", "places", "stats"},
    {"mri", "profiles"},
    {"sparsity", "networks", "data"},
    {"untrained"},
    {"methods"},
    {"attacks"},
    {"published"},
    {"shifts"},
    {"features"},
    {"experiments"},
    {"findings", "training"},
    {"figures", "bench"},
    {"commands", "__main__"},
]


def imports(root) -> dict[str, set[str]]:
    """The files of `helpers` by their dotted names, and which of them each imports."""
    files = {".".join(path.relative_to(root).with_suffix("").parts): path for path in (root / "helpers").rglob("*.py")}
    modules = {name.removesuffix(".__init__"): name for name in files}
    found: dict[str, set[str]] = {name: set() for name in files}
    for name, path in files.items():
        for node in ast.walk(ast.parse(path.read_text("utf8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("helpers"):
                found[name] |= {
                    modules.get(f"{node.module}.{each.name}") or modules[node.module] for each in node.names
                }
    return found


def room(name: str) -> str:
    return name.split(".")[1]


def test_there_are_few_rooms_and_each_is_on_a_floor(root):
    rooms = {room(name) for name in imports(root)}
    assert len(rooms) <= 24 and rooms == set().union(*FLOORS)


def test_imports_run_down_the_floors(root):
    level = {name: number for number, floor in enumerate(FLOORS) for name in floor}
    pairs = {(room(name), room(other)) for name, others in imports(root).items() for other in others}
    assert {(a, b) for a, b in pairs if a != b and level[a] <= level[b]} == set()


def test_there_is_no_circle_between_files(root):
    list(TopologicalSorter(imports(root)).static_order())  # raises CycleError, which names the circle


def test_every_folder_says_what_is_done_in_it(root):
    for path in (root / "helpers").glob("*/__init__.py"):
        assert ast.get_docstring(ast.parse(path.read_text("utf8"))), path
