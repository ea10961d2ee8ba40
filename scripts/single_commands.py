#!/usr/bin/env python3
"""single_commands.py BUILD OUT [--without-headers]: compile_commands.json for one file at a time.

A unity build compiles files that include others; clang-tidy, clangd and editors want the command of each by itself. Writes
OUT/compile_commands.json. --without-headers leaves the precompiled headers out, which only the compiler that made them reads.
"""
import json
import re
import sys
from pathlib import Path

PRECOMPILED = re.compile(r" -Winvalid-pch| -Xclang -include-pch -Xclang \S+| -Xclang -include -Xclang \S*cmake_pch\S*"
                         r"| -include \S*cmake_pch\S*|(?<= )-fpch-instantiate-templates ?")


def singles(entry):
    """The entries of the files that a unity file includes; of another file itself."""
    source = Path(entry["file"])
    if not re.fullmatch(r"unity_\d+_cxx\.cxx", source.name):
        return [entry]
    files = re.findall(r'^#include "(/[^"]+)"', source.read_text(), re.M)
    return [{**entry, "file": file, "command": entry["command"].replace(str(source), file)} for file in files]


def main():
    build, out = Path(sys.argv[1]), Path(sys.argv[2])
    entries = [single for entry in json.loads((build / "compile_commands.json").read_text()) for single in singles(entry)]
    if "--without-headers" in sys.argv[3:]:
        for entry in entries:
            entry["command"] = PRECOMPILED.sub("", entry["command"])
    out.mkdir(parents=True, exist_ok=True)
    (out / "compile_commands.json").write_text(json.dumps(entries, indent=1))


main()
