"""Count what the house wants few of, from the sources alone: `python scripts/house_counts.py`, one line a count.

- switches: functions that ask a node for its class, with isinstance or match. The classes are those of the union
  `Node`, as codesign/ir or codesign/ops defines it. A file that has a class of such a name from codesign/front asks
  another kind of thing: an operator of a source.
- spelled unions: annotations and other expressions such as `Conv | Pool | Add`, with two node classes or more.
- verbs: docstrings of public functions and methods that begin with a verb of VERBS. "Count of words" begins with a
  noun: a verb is not followed by "of". Properties name a thing, so they have a line of their own.
- reasons: a file over 300 lines says in its docstring why, in a sentence that begins with "Long because".
- sentences: words in the prose of Markdown pages. Code, tables and headings are left out.
"""

import ast
import re
import statistics
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAX_FUNCTION_LINES = 50
MAX_FILE_LINES = 300
MAX_WORDS = 25
REASON = "Long because"

# A verb that a docstring begins with and that is missing here is added here.
VERBS = frozenset(
    """
    accept add answer append apply ask assemble assert balance begin bound build calibrate call change check choose
    clamp clear close collect combine compare compile complete compute connect convert convolve copy count create
    decide decode dequantize derive describe digest divide do draw elaborate empty encode end enlarge estimate
    evaluate examine export extend extract fill find fit flatten fold follow format gather generate give grow guess
    hand hash hold import improve initialize insert iterate join keep kill label launch learn leave let limit list
    load look lower make map match measure merge minimize mirror move name narrow normalize note number offer open
    order pack pad parse pass pick place predict prepare price print propose prove prune quantize raise read rebuild
    record reduce refuse release remove render repair repeat replace report require resize restore resume return
    reverse round run sample save say scale search see select send serve set share shift show shrink shuffle
    simulate size skip solve sort spell split start stop store sum synthesize take tell test time train transform
    translate try turn undo update use validate verify wait walk widen wrap write yield
    """.split()  # noqa: SIM905
)

Function = ast.FunctionDef | ast.AsyncFunctionDef


def parsed(folder: Path) -> dict[Path, ast.Module]:
    """Return the syntax tree of every Python file below the folder."""
    return {path: ast.parse(path.read_text()) for path in sorted(folder.rglob("*.py"))}


def named_types(node: ast.expr) -> list[str]:
    """Return the last names of a union, a tuple or a single class: `nodes.Conv | Pool` gives Conv, Pool."""
    match node:
        case ast.BinOp(op=ast.BitOr()):
            return named_types(node.left) + named_types(node.right)
        case ast.Tuple():
            return [name for element in node.elts for name in named_types(element)]
        case ast.Name():
            return [node.id]
        case ast.Attribute():
            return [node.attr]
        case _:
            return []


def node_kinds(trees: dict[Path, ast.Module]) -> frozenset[str]:
    """Return the members of the union `Node`, of a union in it too. Raise ValueError without it."""
    for path, tree in trees.items():
        if not {"ir", "ops"} & set(path.parts):
            continue
        unions: dict[str, list[str]] = {}
        for statement in tree.body:
            match statement:
                case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                    if statement.value is not None and len(named_types(statement.value)) > 1:
                        unions[name] = named_types(statement.value)
        if "Node" in unions:
            return frozenset(_members("Node", unions))
    raise ValueError("expected a line `Node = A | B` below codesign/ir or codesign/ops, found none")


def _members(name: str, unions: dict[str, list[str]]) -> list[str]:
    """Return the members of a union, of the unions in it too."""
    return [kind for part in unions[name] for kind in (_members(part, unions) if part in unions else [part])]


def asked(tree: ast.Module, kinds: frozenset[str]) -> frozenset[str]:
    """Return the kinds that a file means by their names: not those that it has from codesign.front, or defines."""
    others = {child.name for child in tree.body if isinstance(child, ast.ClassDef)}
    for child in ast.walk(tree):
        if isinstance(child, ast.ImportFrom) and (child.module or "").startswith("codesign.front"):
            others |= {alias.asname or alias.name for alias in child.names}
    return kinds - others


def asks_for(node: ast.AST, kinds: frozenset[str]) -> bool:
    """Tell whether this one expression or pattern asks for a class among `kinds`."""
    match node:
        case ast.Call(func=ast.Name(id="isinstance"), args=[_, classes]):
            return bool(kinds.intersection(named_types(classes)))
        case ast.MatchClass():
            return bool(kinds.intersection(named_types(node.cls)))
        case _:
            return False


def switches(tree: ast.AST, kinds: frozenset[str], inside: str = "module") -> set[str]:
    """Return the innermost functions of the tree that ask for a class among `kinds`, by dotted name."""
    found = set()
    for child in ast.iter_child_nodes(tree):
        if asks_for(child, kinds):
            found.add(inside)
        named = isinstance(child, Function | ast.ClassDef)
        found |= switches(child, kinds, f"{inside}.{child.name}" if named else inside)  # type: ignore[attr-defined]
    return found


def spelled_unions(tree: ast.AST, kinds: frozenset[str]) -> int:
    """Count the unions of two node kinds or more, each once; the definition of Node is one of them."""
    if isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.BitOr):
        return int(len(kinds.intersection(named_types(tree))) > 1)
    return sum(spelled_unions(child, kinds) for child in ast.iter_child_nodes(tree))


def long_functions(tree: ast.AST) -> list[str]:
    """Return the names of the functions that are too long."""
    functions = [n for n in ast.walk(tree) if isinstance(n, Function)]
    return [n.name for n in functions if (n.end_lineno or n.lineno) - n.lineno + 1 > MAX_FUNCTION_LINES]


def reason(tree: ast.Module) -> str:
    """Return the sentence of the module's docstring that says why the file is long; empty without one."""
    found = re.search(rf"(?<!\S){REASON}\b[^.]+\.", " ".join((ast.get_docstring(tree) or "").split()))
    return found.group() if found else ""


def public_docstrings(tree: ast.AST) -> Iterator[tuple[bool, str]]:
    """Yield (is a property, docstring) of the public functions and methods of public classes."""
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, Function | ast.ClassDef) or node.name.startswith("_"):
            continue
        if isinstance(node, ast.ClassDef):
            yield from public_docstrings(node)
        elif text := ast.get_docstring(node):
            names = {name for decorator in node.decorator_list for name in named_types(decorator)}
            yield bool(names & {"property", "cached_property"}), text


def begins_with_a_verb(docstring: str) -> bool:
    """Tell whether the first word is a verb of VERBS that no "of" follows."""
    words = docstring.lower().split()
    return words[0].strip(".,:;") in VERBS and words[1:2] != ["of"]


def sentences(page: str) -> list[str]:
    """Return the sentences of a Markdown page's prose; inline code is one word, a list item a paragraph."""
    text = re.sub(r"^(```|~~~).*?^\1[^\n]*$", "", page, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"^\s*(#|\||!\[|\[[^\]]+\]:).*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"^\s*([-*+]|\d+\.)\s+", "\n\n", text, flags=re.MULTILINE)
    text = re.sub(r"`[^`]*`", "code", text)
    text = re.sub(r"\]\([^)]*\)", "]", text).replace("**", "")
    parts = [part for paragraph in re.split(r"\n\s*\n", text) for part in re.split(r"(?<=[.!?])\s+", paragraph.strip())]
    return [part for part in parts if words_of(part)]


def words_of(sentence: str) -> int:
    """Count the words: what has a letter or a digit."""
    return sum(any(c.isalnum() for c in word) for word in sentence.split())


def code_lines(trees: dict[Path, ast.Module], home: Path) -> Iterator[str]:
    """Yield the counts of the Python sources below `home`."""
    kinds = node_kinds(trees)
    by_floor = Counter({floor_of(path, home): 0 for path in trees})
    for path, tree in trees.items():
        by_floor[floor_of(path, home)] += len(switches(tree, asked(tree, kinds)))
    told = ", ".join(f"{floor} {count}" for floor, count in sorted(by_floor.items()) if count)
    outside = sum(count for floor, count in by_floor.items() if floor not in ("ops", "machine", "emit"))
    yield f"node kinds: {len(kinds)} ({', '.join(sorted(kinds))})"
    yield f"functions that switch on a node's kind: {by_floor.total()} ({told})"
    yield f"the same outside ops, machine and emit: {outside}"
    yield f"spelled unions of node kinds: {sum(spelled_unions(tree, asked(tree, kinds)) for tree in trees.values())}"
    long = [f"{path.relative_to(home)}: {name}" for path, tree in trees.items() for name in long_functions(tree)]
    yield f"functions over {MAX_FUNCTION_LINES} lines: {listed(long)}"
    lines = {path: len(path.read_text().splitlines()) for path in trees}
    tall = [path for path, count in lines.items() if count > MAX_FILE_LINES]
    yield f"files over {MAX_FILE_LINES} lines: {listed([f'{path.relative_to(home)} {lines[path]}' for path in tall])}"
    unexplained = [str(path.relative_to(home)) for path in tall if not reason(trees[path])]
    yield f"of these without a reason at their head: {listed(unexplained)}"
    told_of = [pair for tree in trees.values() for pair in public_docstrings(tree)]
    for what, is_property in (("public functions and methods", False), ("public properties", True)):
        texts = [text for is_one, text in told_of if is_one == is_property]
        yield f"docstrings of {what} that begin with a verb: {share(sum(map(begins_with_a_verb, texts)), len(texts))}"


def page_line(page: Path) -> str:
    """Return the count of one Markdown page."""
    lengths = [words_of(sentence) for sentence in sentences(page.read_text())]
    if not lengths:
        return f"{page.name}: no sentences"
    over = sum(length > MAX_WORDS for length in lengths)
    middle = statistics.median(lengths)
    told = f"{len(lengths)} sentences, median {middle:g} words, longest {max(lengths)}, {over} over {MAX_WORDS}"
    return f"{page.name}: {told}"


def floor_of(path: Path, home: Path) -> str:
    """Return the package below `home` that the file is in, or the file's own name."""
    return path.relative_to(home).parts[0].removesuffix(".py")


def listed(names: list[str]) -> str:
    """Return how many there are, and which."""
    return f"{len(names)} ({'; '.join(names)})" if names else "0"


def share(part: int, whole: int) -> str:
    """Return a share in per cent, with its counts."""
    return f"{100 * part / max(whole, 1):.0f} % ({part} of {whole})"


def main() -> None:
    """Write all counts of the checkout to standard output."""
    home = ROOT / "codesign"
    lines = list(code_lines(parsed(home), home))
    lines += [page_line(page) for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
