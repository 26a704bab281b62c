"""How the code stands as a house: files that import each other in a ring across folders, and lines of SQL outside the index.

Prints one line a crate, and what is behind the numbers with --all; fails where a crate has more of either than it is allowed. Modules of
tests are left out. An import counts from the file that
makes it to the file that has the name: a name that a module hands on is followed to where it is.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Where SQL is at home.
SQL_HOMES = ("crates/store/src/index/", "crates/migrate/src/journal/")
# Rings across folders that a crate still has; every other has none, and SQL outside of its home nobody. Aim: an empty list.
RINGS_ALLOWED = {}
SQL = re.compile(r"\b(SELECT|INSERT (OR \w+ )?INTO|UPDATE \w+( AS \w+)? SET|DELETE FROM|(LEFT )?JOIN|WHERE|ORDER BY|CREATE (TABLE|INDEX|TRIGGER)|PRAGMA)\b")


def product(path):
    """The text of a file without comments, its modules of tests, and lines that only a test build has."""
    text = re.sub(r"^\s*//.*$", "", path.read_text(), flags=re.M)
    text = re.sub(r"^\s*#\[cfg\(test\)\]\n(?!\s*(?:pub(?:\(\w+\))? )?mod \w+ \{)[^\n]*\n", "", text, flags=re.M)
    return re.split(r"^\s*#\[cfg\(test\)\]\n(?:#\[.*\]\n)*\s*(?:pub(?:\(\w+\))? )?mod \w+ \{", text, flags=re.M)[0]


def use_paths(tree, prefix=()):
    """The paths of a `use` tree, as lists of names."""
    tree = tree.strip()
    if (brace := tree.find("{")) >= 0 and tree.endswith("}"):
        head = [part for part in tree[:brace].split("::") if part.strip()]
        depth, part = 0, ""
        for letter in tree[brace + 1 : -1] + ",":
            depth += {"{": 1, "}": -1}.get(letter, 0)
            if letter == "," and depth == 0:
                if part.strip():
                    yield from use_paths(part, prefix + tuple(name.strip() for name in head))
                part = ""
            else:
                part += letter
    else:
        path, _, alias = tree.partition(" as ")
        names = prefix + tuple(name.strip() for name in path.split("::"))
        yield names, alias.strip() or names[-1]


class Crate:
    def __init__(self, source):
        self.source = source
        self.files, self.handed_on, self.texts = {}, {}, {}
        for path in sorted(source.rglob("*.rs")):
            parts = path.relative_to(source).with_suffix("").parts
            if "bin" in parts[:1] or path.stem == "tests" or "tests" in parts:
                continue
            module = () if parts[-1] in ("lib", "main") and len(parts) == 1 else parts[:-1] if parts[-1] == "mod" else parts
            self.files[module], self.texts[module] = path, product(path)
        for module, text in self.texts.items():
            names = {}
            for tree in re.findall(r"^\s*pub(?:\([\w ]+\))? use ([^;]+);", text, flags=re.M):
                names.update({alias: names_ for names_, alias in use_paths(tree)})
            self.handed_on[module] = names

    def absolute(self, module, names):
        """The path from the crate's root, or None for one of another crate."""
        if names[0] == "crate":
            return names[1:]
        here = module
        if names[0] in ("self", "super"):
            while names and names[0] in ("self", "super"):
                here, names = (here[:-1] if names[0] == "super" else here), names[1:]
            return here + names
        return here + names if here + names[:1] in self.files else None

    def home(self, names, seen=()):
        """The module whose file has a name."""
        at = ()
        for n, name in enumerate(names):
            if at + (name,) in self.files:
                at += (name,)
                continue
            handed = self.handed_on[at].get(name)
            if handed and (at, name) not in seen:
                full = self.absolute(at, handed)
                return self.home(full + names[n + 1 :], seen + ((at, name),)) if full else None
            break
        return at

    def imports(self):
        edges = {module: set() for module in self.files}
        for module, text in self.texts.items():
            paths = []
            for tree in re.findall(r"^\s*use ([^;]+);", text, flags=re.M):
                paths += [names for names, _ in use_paths(tree)]
            body = re.sub(r"^\s*(?:pub(?:\([\w ]+\))? )?use [^;]+;", "", text, flags=re.M)
            paths += [tuple(found.split("::")) for found in re.findall(r"\b(?:crate|super)(?:::\w+)+", body)]
            for names in paths:
                full = self.absolute(module, names)
                target = self.home(full) if full else None
                if target is not None and target != module:
                    edges[module].add(target)
        return edges


def rings(edges):
    """Sets of more than one node that all reach each other (Tarjan)."""
    index, low, stack, on, found = {}, {}, [], set(), []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        on.add(node)
        for next_ in edges[node]:
            if next_ not in index:
                visit(next_)
                low[node] = min(low[node], low[next_])
            elif next_ in on:
                low[node] = min(low[node], index[next_])
        if low[node] == index[node]:
            ring = []
            while True:
                ring.append(stack.pop())
                on.discard(ring[-1])
                if ring[-1] == node:
                    break
            if len(ring) > 1:
                found.append(sorted(ring))

    sys.setrecursionlimit(10_000)
    for node in edges:
        if node not in index:
            visit(node)
    return found


def folder(crate, module):
    """The folder of a file; that of its parts where it has some beside it."""
    path = crate.files[module]
    return path.with_suffix("") if path.with_suffix("").is_dir() else path.parent


def main():
    everything = "--all" in sys.argv[1:]
    across_all = sql_all = 0
    faults = []
    for manifest in sorted(ROOT.glob("crates/*/Cargo.toml")):
        crate = Crate(manifest.parent / "src")
        all_rings = rings(crate.imports())
        across = [ring for ring in all_rings if len({folder(crate, module) for module in ring}) > 1]
        lines = []
        for module, path in crate.files.items():
            where = path.relative_to(ROOT).as_posix()
            if not where.startswith(SQL_HOMES):
                lines += [f"{where}: {line.strip()}" for line in crate.texts[module].splitlines() if SQL.search(line)]
        name = manifest.parent.name
        allowed = RINGS_ALLOWED.get(name, 0)
        if len(across) > allowed:
            faults.append(f"{name} has {len(across)} rings across folders, {allowed} allowed: break the new one (--all names them)")
        elif len(across) < allowed:
            print(f"{name} has fewer rings than it is allowed: lower RINGS_ALLOWED to {len(across)}")
        if lines:
            faults.append(f"{name} has {len(lines)} lines of SQL outside {' and '.join(SQL_HOMES)} (--all names them)")
        across_all += len(across)
        sql_all += len(lines)
        sizes = ", ".join(str(len(ring)) for ring in sorted(across, key=len, reverse=True)) or "none"
        within = len(all_rings) - len(across)
        files = len({line.split(":")[0] for line in lines})
        print(f"{name:<11} rings across folders: {sizes} (within one folder: {within}); SQL outside: {len(lines)} lines in {files} files")
        if everything:
            for ring in across:
                print("  ring " + " ".join(crate.files[module].relative_to(crate.source).as_posix() for module in ring))
            for line in lines:
                print(f"  sql  {line}")
    for fault in faults:
        print(f"house: {fault}")
    print(f"house: {across_all} rings across folders, {sql_all} lines of SQL outside {' and '.join(SQL_HOMES)}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
