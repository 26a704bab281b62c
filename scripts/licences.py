"""Checks that every crate of the lock file has a permissive licence and comes from the registry or from here.

Uses cargo-deny with deny.toml where it is installed; else reads the same lists from deny.toml and judges the metadata.
"""
import json
import re
import shutil
import subprocess
import sys
import tomllib


def permitted(expression, allowed):
    """An SPDX expression: is there a choice of permitted licences? OR and / are choices, AND binds closer."""
    text = re.sub(r"\s+WITH\s+\S+", "", expression.replace("/", " OR "))
    tokens = re.findall(r"\(|\)|[^\s()]+", text)

    def either():
        value = both()
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            value = both() or value
        return value

    def both():
        value = one()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            value = one() and value
        return value

    def one():
        token = tokens.pop(0)
        if token == "(":
            value = either()
            tokens.pop(0)
            return value
        return token in allowed

    return either()


def main():
    if shutil.which("cargo-deny"):
        return subprocess.call(["cargo", "deny", "--locked", "check", "licenses", "bans", "sources"])
    rules = tomllib.load(open("deny.toml", "rb"))
    allowed, banned = set(rules["licenses"]["allow"]), {ban["crate"] for ban in rules["bans"]["deny"]}
    metadata = json.loads(subprocess.check_output(["cargo", "metadata", "--format-version", "1", "--locked"]))
    wrong = []
    for package in metadata["packages"]:
        name = f"{package['name']} {package['version']}"
        if not package["license"] or not permitted(package["license"], allowed):
            wrong.append(f"{name}: licence {package['license']} is not on the list")
        if package["name"] in banned:
            wrong.append(f"{name}: banned")
        if package["source"] and not package["source"].startswith("registry+"):
            wrong.append(f"{name}: comes from {package['source']}")
    print("\n".join(wrong) or f"{len(metadata['packages'])} crates, all with a permitted licence and source")
    return 1 if wrong else 0


sys.exit(main())
