# The set-up of ./batchscope (sourced). Sets: preset, build. Functions: set_up COMMAND, say, fail.

torch_version=2.11.0
flavour=${BATCHSCOPE_FLAVOUR:-auto}
preset_base=dev
preset=dev
build=build/dev

base_packages=(g++ cmake ninja-build ccache pkg-config ca-certificates python3 python3-pip unzip
  libgloo-dev nlohmann-json3-dev libtomlplusplus-dev libcli11-dev libexpat1-dev libjpeg62-turbo-dev libpng-dev libcairo2-dev libsqlite3-dev
  qt6-base-dev sqlite3)
gui_packages=(qt6-charts-dev libqt6opengl6-dev qt6-svg-dev libqt6svg6 qt6-qpa-plugins libgl1-mesa-dev
  fonts-dejavu-core xvfb xauth)
lint_packages=(clang-format clang-tidy clangd)

say() { printf '%s\n' "batchscope: $*" >&2; }
fail() { say "$*"; exit 1; }

choose_flavour() {
  if [ "$flavour" = auto ]; then
    flavour=cpu
    if [ -e /proc/driver/nvidia/version ] && command -v nvcc >/dev/null 2>&1; then flavour=cuda; fi
  fi
  preset=$preset_base
  if [ "$flavour" = cuda ]; then preset=cuda; fi
  build=build/$preset
}

missing_packages() {
  local name
  for name in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || printf '%s\n' "$name"
  done
}

# Debian packages: prints the plan, then asks at the terminal, unless --yes was given or there is no terminal to ask at.
install_packages() {
  command -v dpkg-query >/dev/null 2>&1 || { say "this is not Debian: install the packages of scripts/setup.sh yourself"; return 0; }
  local missing sudo=()
  mapfile -t missing < <(missing_packages "$@")
  [ ${#missing[@]} -gt 0 ] || return 0
  say "these Debian packages are missing and will be installed with apt-get:"
  say "  ${missing[*]}"
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null 2>&1 || fail "that needs root: run it as root, or install sudo"
    sudo=(sudo)
  fi
  if [ -z "${BATCHSCOPE_YES:-}" ] && [ -t 0 ]; then
    read -r -p "batchscope: go on? [Y/n] " answer
    case "$answer" in ''|y|Y|yes) ;; *) fail "nothing was installed" ;; esac
  fi
  export DEBIAN_FRONTEND=noninteractive
  ${sudo[@]+"${sudo[@]}"} apt-get update -q >/dev/null || fail "apt-get update failed: is there a network?"
  ${sudo[@]+"${sudo[@]}"} apt-get install -y -q --no-install-recommends "${missing[@]}" >&2 || fail "apt-get install failed; start again when it is mended"
}

cache_folder() { printf '%s\n' "${XDG_CACHE_HOME:-$HOME/.cache}/batchscope/libtorch"; }

# LibTorch: the wheels of the lock file, by hash, unpacked beside and renamed, one process at a time.
install_libtorch() {
  if [ -n "${BATCHSCOPE_TORCH_DIR:-}" ]; then return 0; fi
  local cache target lock need free
  cache=$(cache_folder)
  target=$cache/$torch_version-$flavour
  [ -e "$target/torch/include/ATen/ATen.h" ] && return 0
  [ "$(uname -m)" = x86_64 ] || fail "LibTorch is fetched for x86_64 only; name one with BATCHSCOPE_TORCH_DIR=FOLDER"
  lock=$PWD/scripts/libtorch-$flavour.lock
  mkdir -p "$cache"
  exec 9>"$cache/.lock"
  flock 9
  [ -e "$target/torch/include/ATen/ATen.h" ] && { exec 9>&-; return 0; }
  need=3000000
  [ "$flavour" = cuda ] && need=12000000
  free=$(df -Pk "$cache" | awk 'NR == 2 {print $4}')
  [ "$free" -gt "$need" ] || fail "LibTorch needs $((need / 1000000)) GB free in $cache, found $((free / 1000000)) GB"
  say "fetching LibTorch $torch_version ($flavour) into $target"
  rm -rf "$cache"/.unpack-*
  local work
  work=$(mktemp -d "$cache/.unpack-XXXXXX")
  python3 -m pip download -q --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: \
    --python-version 3.11 --implementation cp --abi cp311 --abi abi3 --abi none \
    $(printf -- '--platform %s ' manylinux_2_28_x86_64 manylinux_2_27_x86_64 manylinux_2_25_x86_64 manylinux_2_18_x86_64 \
      manylinux_2_17_x86_64 manylinux2014_x86_64 manylinux_2_12_x86_64 manylinux2010_x86_64 manylinux_2_5_x86_64 manylinux1_x86_64 any) \
    -d "$work/wheels" -r "$lock" >&2 || fail "the LibTorch wheels could not be fetched; start again when the network is there"
  mkdir "$work/tree"
  local wheel
  for wheel in "$work"/wheels/*.whl; do
    unzip -q -o "$wheel" -d "$work/tree" || fail "$(basename "$wheel") could not be unpacked: is the disk full?"
    rm -f "$wheel"
  done
  rm -rf "$target"
  mv "$work/tree" "$target"
  rm -rf "$work"
  exec 9>&-
}

build_all() {
  if [ ! -f "$build/build.ninja" ]; then
    say "configuring ($preset)"
    cmake --preset "$preset" >"$build.configure.log" 2>&1 || { tail -n 30 "$build.configure.log" >&2; fail "configuring failed; the whole log is $build.configure.log"; }
  fi
  # Nothing to do costs one stat of every file; output only when something is built.
  if ! ninja -C "$build" -n 2>/dev/null | grep -q 'no work to do'; then
    say "building ($preset)"
    ninja -C "$build" >&2 || fail "the build failed"
  fi
}

set_up() {
  choose_flavour
  local packages=("${base_packages[@]}")
  [ "$preset_base" = headless ] || packages+=("${gui_packages[@]}")
  [ "$1" = lint ] && packages+=("${lint_packages[@]}")
  install_packages "${packages[@]}"
  install_libtorch
  mkdir -p build
  build_all
}
