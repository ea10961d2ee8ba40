# The Python environment of ./batchscope oracle (sourced after setup.sh). Function: oracle PYTHON-ARGS….

# Kept per user beside LibTorch, named by its list of packages: another list makes another environment.
oracle_folder() {
  printf '%s/oracle-%s' "$(dirname "$(cache_folder)")" "$(sha256sum scripts/oracle.txt | cut -c1-12)"
}

make_oracle() {
  local target=$1 free
  [ -e "$target/ready" ] && return 0
  mkdir -p "$(dirname "$target")"
  exec 9>"$target.lock"
  flock 9
  [ -e "$target/ready" ] && { exec 9>&-; return 0; }
  free=$(df -Pk "$(dirname "$target")" | awk 'NR == 2 {print $4}')
  [ "$free" -gt 12000000 ] || fail "the Python environment needs 12 GB free in $(dirname "$target"), found $((free / 1000000)) GB"
  say "making the Python environment of scripts/oracle.txt in $target (some GB are fetched)"
  rm -rf "$target"
  python3 -m venv "$target" || fail "python3 -m venv failed; on Debian: apt install python3-venv"
  "$target/bin/python" -m pip install -q --disable-pip-version-check -r scripts/oracle.txt >&2 ||
    fail "the Python packages could not be fetched; start again when the network is there"
  touch "$target/ready"
  exec 9>&-
}

oracle() {
  local target
  target=$(oracle_folder)
  make_oracle "$target"
  if [ $# = 0 ]; then
    say "ready: ./batchscope oracle SCRIPT.py ARGS… runs a fixture's maker or a script of benchmarks/"
    return 0
  fi
  exec "$target/bin/python" "$@"
}
