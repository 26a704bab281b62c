"""The software bill of materials of a release, CycloneDX 1.5 in JSON: what the program is linked from, and what the pages are made of.

    python3 scripts/dist/sbom.py VERSION >sbom.cdx.json

Crates are those that the binary `firstlight` is built from (no tools of its tests), read from `cargo metadata`; npm packages are those
that the web side ships, read from its lock file; the viewer is the package that `web/viewer.json` names.
"""
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def crates():
    metadata = json.loads(subprocess.check_output(["cargo", "metadata", "--locked", "--format-version", "1"], cwd=ROOT))
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    waiting = [id for id, package in packages.items() if package["name"] == "firstlight"]
    linked = set()
    while waiting:
        id = waiting.pop()
        if id in linked:
            continue
        linked.add(id)
        kinds = lambda dependency: {kind["kind"] for kind in dependency["dep_kinds"]}
        waiting += [dependency["pkg"] for dependency in nodes[id]["deps"] if kinds(dependency) != {"dev"}]
    for package in sorted((packages[id] for id in linked), key=lambda package: (package["name"], package["version"])):
        yield component("cargo", package["name"], package["version"], package["license"])


def npm():
    lock = json.loads((ROOT / "web/package-lock.json").read_text())
    for path, package in sorted(lock["packages"].items()):
        name = path.rpartition("node_modules/")[2]
        if "node_modules/" in path and not package.get("link") and not package.get("dev"):
            yield component("npm", name, package["version"], package.get("license"))
    viewer = json.loads((ROOT / "web/viewer.json").read_text())
    yield component("npm", viewer["package"], viewer["version"], "MIT")


def component(registry, name, version, licence):
    purl = f"pkg:{registry}/{name.replace('@', '%40')}@{version}"
    found = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
    if licence:
        found["licenses"] = [{"expression": licence.replace("/", " OR ") if " OR " not in licence else licence}]
    return found


def main(version):
    parts = {part["bom-ref"]: part for part in [*crates(), *npm()]}
    bom = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "application", "bom-ref": "firstlight", "name": "firstlight", "version": version, "licenses": [{"expression": "MIT OR Apache-2.0"}]}},
        "components": list(parts.values()),
    }
    json.dump(bom, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main(*sys.argv[1:])
