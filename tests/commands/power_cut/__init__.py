"""A power cut, played after the fact.

record.so writes down every change a program makes below a folder, and every fsync. From that record the state of the disk after
a cut at any moment is made: what was synced is there (a file's bytes by a sync of the file, a name by a sync of its folder);
of the rest, nothing, the names alone, or a random part of it.
"""
import pathlib
import shutil
import subprocess

HERE = pathlib.Path(__file__).parent


def build(folder):
    """Compiles the recorder."""
    library = folder / "record.so"
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", library, HERE / "record.c", "-ldl", "-lpthread"], check=True)
    return library


def environment(library, root, log, forget=None):
    """What a program must be started with to be recorded."""
    return {"LD_PRELOAD": str(library), "POWER_CUT_ROOT": str(root), "POWER_CUT_LOG": str(log)} | ({"POWER_CUT_FORGET": forget} if forget else {})


def read(log):
    """The record as a list of steps."""
    data, at, steps = log.read_bytes(), 0, []
    while at < len(data):
        end = data.index(b"\n", at)
        kind, rest = chr(data[at]), data[at + 2 : end].decode()
        at = end + 1
        if kind == "W":
            ino, offset, length = map(int, rest.split())
            steps.append((kind, ino, offset, data[at : at + length]))
            at += length
        elif kind in "CM":
            ino, path = rest.split(" ", 1)
            steps.append((kind, int(ino), path))
        elif kind == "T":
            ino, size = map(int, rest.split())
            steps.append((kind, ino, size))
        elif kind == "S":
            steps.append((kind, int(rest)))
        elif kind in "RL":
            steps.append((kind, *rest.split("\t")))
        else:
            steps.append((kind, rest))
    return steps


class File:
    def __init__(self):
        self.now, self.synced, self.pending = bytearray(), bytearray(), []

    def change(self, step):
        apply(self.now, step)
        self.pending.append(step)

    def sync(self):
        self.synced, self.pending = bytearray(self.now), []

    def after(self, data, chance):
        """The bytes after a cut; `chance()` says whether a pending change had reached the disk."""
        left = bytearray(self.synced)
        for step in self.pending if data else []:
            if chance():
                apply(left, step)
        return left


def apply(data, step):
    if step[0] == "T":
        del data[step[1] :]
        data.extend(bytes(step[1] - len(data)))
    else:
        _, offset, more = step
        data.extend(bytes(max(0, offset - len(data))))
        data[offset : offset + len(more)] = more


class Folder:
    def __init__(self):
        self.now, self.synced, self.pending = {}, {}, []

    def set(self, name, what, needs=None):
        if what is None:
            self.now.pop(name, None)
        else:
            self.now[name] = what
        change = {"name": name, "what": what, "needs": needs, "kept": False}
        self.pending.append(change)
        return change

    def sync(self):
        self.synced = dict(self.now)
        for change in self.pending:
            change["kept"] = True
        self.pending = []


class Disk:
    """A folder and all below it, as it is and as it would be after a cut."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.top = Folder()
        self.by_ino = {}

    def find(self, path):
        """The folder that holds a path, and its name in it."""
        parts = pathlib.Path(path).relative_to(self.root).parts
        folder = self.top
        for part in parts[:-1]:
            folder = folder.now[part]
        return folder, parts[-1]

    def play(self, step):
        kind = step[0]
        if kind in "CM":
            what = self.by_ino[step[1]] = File() if kind == "C" else Folder()
            if pathlib.Path(step[2]) == self.root:
                self.by_ino[step[1]] = self.top
                return
            folder, name = self.find(step[2])
            folder.set(name, what)
        elif kind in "WT":
            what = self.by_ino.get(step[1])
            if what is not None:
                what.change(("W", step[2], step[3]) if kind == "W" else ("T", step[2]))
        elif kind == "S":
            what = self.by_ino.get(step[1])
            if what is not None:
                what.sync()
        elif kind == "R":
            old, old_name = self.find(step[1])
            new, new_name = self.find(step[2])
            # A rename is never half done: the old name is gone only where the new one is there.
            arrived = new.set(new_name, old.now[old_name])
            old.set(old_name, None, needs=arrived)
        elif kind == "L":
            old, old_name = self.find(step[1])
            new, new_name = self.find(step[2])
            new.set(new_name, old.now[old_name])
        else:
            folder, name = self.find(step[1])
            folder.set(name, None)

    def cut(self, to, names, data, chance):
        """Writes the state after a cut: unsynced `names` and `data` are there by `chance`."""
        shutil.rmtree(to, ignore_errors=True)
        pathlib.Path(to).mkdir(parents=True)
        self._cut(self.top, pathlib.Path(to), names, data, chance, self._arrived(names, chance))

    def _arrived(self, names, chance):
        kept = set()

        def look(folder):
            for change in folder.pending:
                if names and chance() and (change["needs"] is None or change["needs"]["kept"] or id(change["needs"]) in kept):
                    kept.add(id(change))
            for what in {id(what): what for what in [*folder.now.values(), *folder.synced.values()]}.values():
                if isinstance(what, Folder):
                    look(what)

        look(self.top)
        return kept

    def _cut(self, folder, to, names, data, chance, kept):
        entries = dict(folder.synced)
        for change in folder.pending:
            if id(change) in kept:
                if change["what"] is None:
                    entries.pop(change["name"], None)
                else:
                    entries[change["name"]] = change["what"]
        for name, what in entries.items():
            if isinstance(what, Folder):
                (to / name).mkdir()
                self._cut(what, to / name, names, data, chance, kept)
            else:
                (to / name).write_bytes(what.after(data, chance))

    def tree(self):
        """Every file as it is now, to be compared with the real ones."""
        files = {}

        def look(folder, path):
            for name, what in folder.now.items():
                if isinstance(what, Folder):
                    look(what, path / name)
                else:
                    files[str(path / name)] = bytes(what.now)

        look(self.top, pathlib.Path())
        return files
