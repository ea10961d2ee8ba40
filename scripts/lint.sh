#!/usr/bin/env bash
# lint.sh BUILD [--all]: formatting of every file; clang-tidy of the rooms without LibTorch; changed files of the others by clangd,
# which runs the same checks on the file itself and not on LibTorch's and Qt's headers, five times as fast (without the static
# analyzer and bugprone-use-after-move, which clangd leaves out). --all: every file of the others, and all headers.
set -euo pipefail
build=$1
all=${2:-}
mapfile -t sources < <(git ls-files '*.cpp' '*.h' '*.cu' '*.cuh')
echo "clang-format: ${#sources[@]} files"
clang-format --dry-run --Werror "${sources[@]}"

# The build compiles several files as one, with a precompiled header of its own compiler: the checks read one file at a time.
tidy=$build/tidy
python3 scripts/single_commands.py "$build" "$tidy" --without-headers
# Files that this build does not compile (CUDA's) cannot be checked; headers take the command of a neighbour.
compiled() { while IFS= read -r file; do if grep -q "/$file\"" "$tidy/compile_commands.json"; then echo "$file"; fi; done; }

mapfile -t plain < <(git ls-files 'engine/contract/*.cpp' 'storage/*.cpp' | compiled)
echo "clang-tidy: ${#plain[@]} files"
printf '%s\n' "${plain[@]}" | xargs -P "$(nproc)" -n 1 clang-tidy --quiet -p "$tidy" 2>/dev/null

others() { git "$@" -- 'app/*.cpp' 'engine/*.cpp' 'models/*.cpp' 'optim/*.cpp' 'ui/*.cpp' | grep -v '^engine/contract/' | sort -u | compiled; }
if [ "$all" = --all ]; then
  mapfile -t chosen < <(others ls-files)
else
  if git rev-parse -q --verify origin/main >/dev/null && [ "$(git rev-parse origin/main)" != "$(git rev-parse HEAD)" ]; then
    base=origin/main
  else
    base=$(git rev-parse -q --verify HEAD~1 || git hash-object -t tree /dev/null)
  fi
  mapfile -t chosen < <(others diff --name-only --diff-filter=d "$base" | head -n "${BATCHSCOPE_LINT_MOST:-40}")
fi
echo "clangd: ${#chosen[@]} files"
[ ${#chosen[@]} = 0 ] || printf '%s\n' "${chosen[@]}" | xargs -P "$(nproc)" -n 1 scripts/lint_file.sh "$tidy"

# All headers of a room in one file of ours, with the command of a neighbour: one reading of LibTorch or Qt for all of them.
check_headers() {
  local room=$1 neighbour=$2 all_headers=$tidy/headers_${1//\//_}.cpp
  git ls-files "$room/*.h" | grep -v -e "${3:-^$}" | sed 's/.*/#include "&"/' >"$all_headers"
  local command
  command=$(sed -nE "s#^  \"command\": \"(.*/$neighbour)\",?\$#\1#p" "$tidy/compile_commands.json" | head -n 1)
  [ -n "$command" ] || { echo "lint: no command for $neighbour"; return 1; }
  mkdir -p "$tidy/$(basename "$all_headers" .cpp)"
  printf '[{"directory": "%s", "command": "%s", "file": "%s"}]\n' "$PWD/$build" "${command/%"$PWD/$neighbour"/"$PWD/$all_headers"}" \
    "$PWD/$all_headers" >"$tidy/$(basename "$all_headers" .cpp)/compile_commands.json"
  clang-tidy --quiet -p "$tidy/$(basename "$all_headers" .cpp)" --header-filter="$PWD/$room/.*" "$all_headers" 2>/dev/null
}
export -f check_headers
export tidy build

if [ "$all" = --all ]; then
  echo "clang-tidy: all headers"
  printf '%s\n' "storage storage/run_reader.cpp" "models models/factory.cpp" "optim optim/adaptive.cpp" \
    "engine engine/train/trainer.cpp" "ui ui/views/main_window.cpp" "app app/engine_commands_train.cpp" |
    xargs -P "$(nproc)" -L 1 bash -c 'check_headers "$0" "$1"'
fi
echo "lint: clean"
