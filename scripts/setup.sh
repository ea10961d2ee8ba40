# The set-up of ./batchscope (sourced). Sets: preset, build. Functions: set_up STAGE…, start_engine_build, say, fail.
# Stages: window (no LibTorch), engine, all (with the tests), lint. Each builds what it needs and no more; ninja keeps the rest.

flavour=${BATCHSCOPE_FLAVOUR:-auto}
preset_base=dev
preset=dev
build=build/dev

. scripts/packages.sh
. scripts/engine_state.sh
. scripts/libtorch.sh

say() { printf '%s\n' "batchscope: $*" >&2; }
fail() {
  say "$*"
  tell failed 0 0 "$*"
  telling=
  exit 1
}

choose_flavour() {
  if [ "$flavour" = auto ]; then
    flavour=cpu
    if [ -e /proc/driver/nvidia/version ] && command -v nvcc >/dev/null 2>&1; then flavour=cuda; fi
  fi
  preset=$preset_base
  if [ "$flavour" = cuda ]; then preset=cuda; fi
  build=build/$preset
}

cached() { sed -n "s/^$1:BOOL=//p" "$build/CMakeCache.txt" 2>/dev/null; }

# What a stage compiles: targets of ninja, options of CMake, folders whose files it is made of.
targets_of() { case "$1" in window) echo batchscope ;; engine) echo batchscope-engine ;; *) echo all ;; esac; }
options_of() {
  case "$1" in
    window) echo GUI ;;
    engine) echo ENGINE ;;
    *) echo ENGINE TESTS; [ "$preset_base" = headless ] || echo GUI ;;
  esac
}
sources_of() {
  case "$1" in
    window) echo engine/contract storage ui app resources cmake CMakeLists.txt CMakePresets.json ;;
    engine) echo engine storage models optim app resources cmake CMakeLists.txt CMakePresets.json ;;
    *) echo engine storage models optim ui app resources tests cmake CMakeLists.txt CMakePresets.json ;;
  esac
}

# Nothing of the stage's files is newer than its last build: some hundredths of a second, where ninja itself takes tenths.
up_to_date() {
  local stamp=$build/.built-$1
  [ -e "$stamp" ] || return 1
  [ "$1" != window ] || [ -x "$build/bin/batchscope" ] || return 1
  [ "$1" = window ] || { [ -x "$build/bin/batchscope-engine" ] && have_libtorch; } || return 1
  # shellcheck disable=SC2046
  [ -z "$(find $(sources_of "$1") -newer "$stamp" -print -quit)" ]
}

# Options only ever come on: a stage does not take away what another one needs.
configure() {
  local name options wanted=() different=
  options=" $(options_of "$1" | tr '\n' ' ') "
  for name in GUI ENGINE TESTS; do
    if [ "$(cached "BATCHSCOPE_$name")" = ON ]; then
      wanted+=("-DBATCHSCOPE_$name=ON")
    elif [[ $options == *" $name "* ]]; then
      wanted+=("-DBATCHSCOPE_$name=ON")
      different=1
    else
      wanted+=("-DBATCHSCOPE_$name=OFF")
    fi
  done
  [ -n "$different" ] || [ ! -f "$build/build.ninja" ] || return 0
  say "configuring ($preset)"
  tell configuring
  cmake --preset "$preset" "${wanted[@]}" >"$build/configure.log" 2>&1 || {
    tail -n 30 "$build/configure.log" >&2
    cp "$build/configure.log" "$build/engine-build.log"
    fail "configuring failed: $( (grep -A 1 '^CMake Error' "$build/configure.log" || cat "$build/configure.log") | sed -n '/./{s/^ *//;p}' | head -n 2 | tail -n 1); the whole log is $build/configure.log"
  }
  # For clangd and editors (.clangd): the command of every file by itself.
  if command -v python3 >/dev/null 2>&1; then python3 scripts/single_commands.py "$build" "$build/single"; fi
}

# ninja's lines go to the log and, as one line that moves at a terminal, to the person; its counts to the window.
show_progress() {
  local line code begun= counts=
  while true; do
    code=0
    IFS= read -r -t 1 line || code=$?
    line=$begun$line begun=
    if [ "$code" -gt 128 ]; then
      # Nothing for a second: a count that came too soon after another is told now.
      begun=$line
      [ -z "$counts" ] || tell building $counts
      continue
    fi
    [ "$code" = 0 ] || break
    printf '%s\n' "$line" >>"$1"
    if [[ $line =~ ^\[([0-9]+)/([0-9]+)\] ]]; then
      counts="${BASH_REMATCH[1]} ${BASH_REMATCH[2]}"
      tell building $counts
      if [ -t 2 ]; then
        printf '\r\033[K%.*s' "$((${COLUMNS:-100} - 1))" "$line" >&2
        continue
      fi
    fi
    printf '%s\n' "$line" >&2
  done
  if [ -t 2 ]; then printf '\n' >&2; fi
}

run_ninja() {
  local log=$build/engine-build.log
  [ "$1" != window ] || log=$build/window-build.log
  : >"$log"
  touch "$build/.building.$$"
  say "building ($preset, $1)"
  tell building
  # shellcheck disable=SC2046
  if ! NINJA_STATUS='[%f/%t] ' ninja -C "$build" $(targets_of "$1") 2>&1 | show_progress "$log"; then
    rm -f "$build/.building.$$"
    fail "the build failed: $(grep -m 1 -E '(error:|FAILED:|Killed|No space left)' "$log" | cut -c1-200)"
  fi
  mv "$build/.building.$$" "$build/.built-$1"
}

# build_stage STAGE [FOR]: one at a time by the lock; who waits says so. An interrupted build goes on where it was.
build_stage() {
  up_to_date "$1" && return 0
  mkdir -p "$build"
  exec 8>"$build.lock"
  if ! flock -n 8; then
    say "another set-up is building; waiting for it"
    flock 8
  fi
  [ "$1" != engine ] || telling=1
  if ! up_to_date "$1"; then
    # The download of what the engine needs goes on beside the window's build.
    [ -z "${engine_follows:-}" ] || start_engine_build
    configure "${2:-$1}"
    run_ninja "$1"
  fi
  exec 8>&-
}

# The packages of a stage, asked of the system only when its list of packages is newer than the last look.
packages_for() {
  local stamp=$build/.packages-$1 names
  [ -e "$stamp" ] && [ "$stamp" -nt /var/lib/dpkg/status ] && return 0
  case "$1" in
    window) names=(window engine) ;;
    window_alone) names=(window) ;;
    engine) names=(engine) ;;
    all) names=(engine tests); [ "$preset_base" = headless ] || names+=(window) ;;
    lint) names=(engine tests window lint) ;;
  esac
  tell packages
  install_packages "${names[@]}"
  mkdir -p "$build"
  touch "$stamp"
}

report_interruption() {
  local code=$?
  last_told=
  tell stopped 0 0 "it was interrupted"
  exit "$code"
}

build_engine() {
  up_to_date engine && return 0
  [ -n "${in_background:-}" ] || stop_background
  mkdir -p "$build"
  [ -n "$(live_builder)" ] || telling=1
  trap report_interruption EXIT
  trap 'exit 143' TERM
  trap 'exit 130' INT
  trap 'exit 129' HUP
  tell waiting
  install_libtorch
  build_stage engine "$1"
  last_told= telling=1
  tell ready
  telling=
  trap - EXIT TERM INT HUP
}

# The engine, detached from this terminal and of low priority; nothing if another process is at it.
start_engine_build() {
  up_to_date engine && return 0
  [ -z "$(live_builder)" ] || return 0
  mkdir -p "$build"
  local options=(--yes "--$flavour")
  [ "$preset_base" != headless ] || options+=(--no-gui)
  setsid nice -n 10 ./batchscope "${options[@]}" setup --engine --in-background </dev/null >"$build/set-up.log" 2>&1 8>&- 9>&- &
  say "the engine is built in the background; its log: $build/engine-build.log"
}

# The process that start_engine_build started: two of them may have been started at once.
build_in_background() {
  in_background=1
  exec 7>"$build.background.lock"
  flock -n 7 || exit 0
  set_up engine
}

set_up() {
  packages_for "$1"
  case "$1" in
    window)
      engine_follows=1
      build_stage window
      start_engine_build ;;
    all|lint)
      build_engine all
      build_stage all ;;
    *) build_engine engine ;;
  esac
}
