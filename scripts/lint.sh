#!/usr/bin/env bash
# lint.sh BUILD [--all]: formatting of every file; clang-tidy of the rooms without LibTorch and of changed files; --all adds every
# other file by clangd, which runs the same checks on the file itself and not on LibTorch's and Qt's headers, five times as
# fast (without the static analyzer and bugprone-use-after-move, which clangd leaves out).
set -euo pipefail
build=$1
all=${2:-}
mapfile -t sources < <(git ls-files '*.cpp' '*.h' '*.cu' '*.cuh')
echo "clang-format: ${#sources[@]} files"
clang-format --dry-run --Werror "${sources[@]}"

# GCC's precompiled header is not clang's: tidy reads the commands without it.
tidy=$build/tidy
mkdir -p "$tidy"
sed -E 's/ -include [^ ]*cmake_pch\.hxx//; s/ -Winvalid-pch//; s/ -fopenmp//' "$build/compile_commands.json" >"$tidy/compile_commands.json"

if git rev-parse -q --verify origin/main >/dev/null && [ "$(git rev-parse origin/main)" != "$(git rev-parse HEAD)" ]; then
  base=origin/main
else
  base=$(git rev-parse -q --verify HEAD~1 || git hash-object -t tree /dev/null)
fi
mapfile -t chosen < <({
  git ls-files 'engine/contract/*.cpp' 'storage/*.cpp'
  git diff --name-only --diff-filter=d "$base" -- 'app/*.cpp' 'engine/*.cpp' 'models/*.cpp' 'optim/*.cpp' 'storage/*.cpp' 'ui/*.cpp'
} | sort -u | head -n "${BATCHSCOPE_LINT_MOST:-40}")
# Files that this build does not compile (CUDA's) cannot be checked; headers take the command of a neighbour.
present=()
for file in "${chosen[@]}"; do
  grep -q "/$file\"" "$tidy/compile_commands.json" && present+=("$file")
done
echo "clang-tidy: ${#present[@]} files"
printf '%s\n' "${present[@]}" | xargs -P "$(nproc)" -n 1 clang-tidy --quiet -p "$tidy" 2>/dev/null

if [ "$all" = --all ]; then
  mapfile -t others < <(git ls-files 'app/*.cpp' 'engine/*.cpp' 'models/*.cpp' 'optim/*.cpp' 'ui/*.cpp' \
    'app/*.h' 'engine/*.h' 'models/*.h' 'optim/*.h' 'storage/*.h' 'ui/*.h' | sort | comm -23 - <(printf '%s\n' "${present[@]}" | sort))
  rest=()
  for file in "${others[@]}"; do
    [[ $file != *.cpp ]] || grep -q "/$file\"" "$tidy/compile_commands.json" && rest+=("$file")
  done
  echo "clangd: ${#rest[@]} files"
  printf '%s\n' "${rest[@]}" | xargs -P "$(nproc)" -n 1 scripts/lint_file.sh "$tidy"
fi
echo "lint: clean"
