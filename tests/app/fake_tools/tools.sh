#!/usr/bin/env bash
# What tst_setup puts before cmake, ninja, dpkg-query, sudo, id and python3 on PATH: called by those names, it notes the call in
# $FAKE/calls and does as they would, slowly and only as far as $FAKE's files allow: `hold` stops the engine's build, `broken`
# makes it fail, `missing` are packages that are not installed.
name=$(basename "$0")
printf '%s %s\n' "$name" "$*" >>"$FAKE/calls"
case "$name" in
  cmake)
    for option in "$@"; do
      case "$option" in -DBATCHSCOPE_*) printf '%s\n' "${option#-D}" | sed 's/=/:BOOL=/' ;; esac
    done >build/dev/CMakeCache.txt
    echo '[]' >build/dev/compile_commands.json
    touch build/dev/build.ninja ;;
  ninja)
    build=$2 target=$3 count=6
    done_steps=$(cat "$build/.done-$target" 2>/dev/null || echo 0)
    printf 'start %s at %s\n' "$target" "$done_steps" >>"$FAKE/builds"
    for ((i = done_steps + 1; i <= count; ++i)); do
      # Bounded: the test that held it may have been killed.
      for ((wait = 0; wait < 1200; ++wait)); do
        [ "$target" = batchscope-engine ] && [ "$i" -gt 3 ] && [ -e "$FAKE/hold" ] || break
        sleep 0.05
      done
      if [ "$target" = batchscope-engine ] && [ -e "$FAKE/broken" ]; then
        printf 'FAILED: models/rpn.o\nmodels/rpn.cpp:7:1: error: "broken"\n'
        exit 1
      fi
      printf '[%s/%s] Building %s\n' "$((i - done_steps))" "$((count - done_steps))" "$i"
      echo "$i" >"$build/.done-$target"
    done
    mkdir -p "$build/bin"
    programs=$target
    [ "$target" != all ] || programs="batchscope batchscope-engine"
    for program in $programs; do
      printf '#!/bin/sh\necho "%s $*"\n' "$program" >"$build/bin/$program"
      chmod +x "$build/bin/$program"
    done ;;
  dpkg-query)
    code=0
    for package in "${@:4}"; do
      if grep -qx "$package" "$FAKE/missing" 2>/dev/null; then code=1; else printf '%s:installed\n' "$package"; fi
    done
    exit "$code" ;;
  sudo) exit 1 ;;
  id) echo 1000 ;;
  python3)
    if [ "$1" != -m ]; then exit 0; fi
    [ ! -e "$FAKE/no-network" ] || exit 1
    for ((i = 1; i <= $#; ++i)); do [ "${!i}" != -d ] || { next=$((i + 1)); folder=${!next}; }; done
    mkdir -p "$folder"
    head -c 3000000 /dev/zero >"$folder/torch.whl"
    for ((wait = 0; wait < 1200; ++wait)); do [ -e "$FAKE/hold-download" ] || break; sleep 0.05; done ;;
  unzip) mkdir -p "${@: -1}/torch/include/ATen" && touch "${@: -1}/torch/include/ATen/ATen.h" ;;
esac
