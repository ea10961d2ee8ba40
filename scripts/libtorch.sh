# LibTorch for the engine (sourced by setup.sh). Function: install_libtorch; have_libtorch says whether it is there.

torch_version=2.11.0
cache_folder() { printf '%s\n' "${XDG_CACHE_HOME:-$HOME/.cache}/batchscope/libtorch"; }
libtorch_folder() { printf '%s\n' "$(cache_folder)/$torch_version-$flavour"; }

have_libtorch() {
  [ -n "${BATCHSCOPE_TORCH_DIR:-}" ] || [ -e "$(libtorch_folder)/torch/include/ATen/ATen.h" ]
}

# MB of the wheels of the lock file, said in its first line.
wheel_megabytes() { sed -n 's/^# \([0-9]*\) MB.*/\1/p;q' "scripts/libtorch-$flavour.lock"; }

download_wheels() {
  local work=$1 platforms=(manylinux_2_28_x86_64 manylinux_2_27_x86_64 manylinux_2_25_x86_64 manylinux_2_18_x86_64
    manylinux_2_17_x86_64 manylinux2014_x86_64 manylinux_2_12_x86_64 manylinux2010_x86_64 manylinux_2_5_x86_64
    manylinux1_x86_64 any)
  mkdir "$work/partial"
  TMPDIR=$work/partial python3 -m pip download -q --disable-pip-version-check --no-cache-dir --no-deps --require-hashes \
    --only-binary=:all: --python-version 3.11 --implementation cp --abi cp311 --abi abi3 --abi none \
    "${platforms[@]/#/--platform=}" -d "$work/wheels" -r "$PWD/scripts/libtorch-$flavour.lock" >&2 &
  local pid=$! total
  total=$(wheel_megabytes)
  while kill -0 "$pid" 2>/dev/null; do
    tell fetching "$(du -sm "$work" 2>/dev/null | cut -f1)" "${total:-0}"
    sleep 1
  done
  wait "$pid"
}

# The wheels of the lock file, by hash, unpacked beside and renamed, one process at a time.
install_libtorch() {
  have_libtorch && return 0
  local cache target need free work wheel
  cache=$(cache_folder)
  target=$(libtorch_folder)
  [ "$(uname -m)" = x86_64 ] || fail "LibTorch is fetched for x86_64 only; name one with BATCHSCOPE_TORCH_DIR=FOLDER"
  mkdir -p "$cache"
  exec 9>"$cache/.lock"
  flock -n 9 || { say "waiting for another set-up that fetches LibTorch"; flock 9; }
  have_libtorch && { exec 9>&-; return 0; }
  need=3000000
  [ "$flavour" = cuda ] && need=12000000
  free=$(df -Pk "$cache" | awk 'NR == 2 {print $4}')
  [ "$free" -gt "$need" ] || fail "LibTorch needs $((need / 1000000)) GB free in $cache, found $((free / 1000000)) GB"
  say "fetching LibTorch $torch_version ($flavour) into $target"
  rm -rf "$cache"/.unpack-*
  work=$(mktemp -d "$cache/.unpack-XXXXXX")
  download_wheels "$work" || fail "the LibTorch wheels could not be fetched; start again when the network is there"
  mkdir "$work/tree"
  for wheel in "$work"/wheels/*.whl; do
    unzip -q -o "$wheel" -d "$work/tree" || fail "$(basename "$wheel") could not be unpacked: is the disk full?"
    rm -f "$wheel"
  done
  rm -rf "$target"
  mv "$work/tree" "$target"
  rm -rf "$work"
  exec 9>&-
}
