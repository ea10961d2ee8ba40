#!/usr/bin/env bash
# lint_file.sh TIDY FILE: the checks of .clang-tidy on one file, by clangd; TIDY: the folder of compile_commands.json.
set -uo pipefail
found=$(clangd --check="$PWD/$2" --check-lines=1-1 --compile-commands-dir="$1" --clang-tidy 2>&1 |
  sed -nE 's/^E\[[^]]*\] (\[[^]]+\] Line [0-9]+: .*)$/\1/p' | sort -u)
[ -z "$found" ] && exit 0
while IFS= read -r line; do printf '%s: %s\n' "$2" "$line"; done <<<"$found"
exit 1
