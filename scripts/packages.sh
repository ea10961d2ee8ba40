# Packages of the system (sourced by setup.sh). Function: install_packages STAGE…, stages: window engine tests lint.
# Debian 12's names; Ubuntu 24.04 has the same but for libjpeg. README names Fedora's.

packages_of() {
  case "$1" in
    build) printf '%s\n' clang lld g++ cmake ninja-build ccache pkg-config ca-certificates \
      nlohmann-json3-dev libtomlplusplus-dev libsqlite3-dev ;;
    window) printf '%s\n' qt6-base-dev qt6-charts-dev libqt6opengl6-dev qt6-svg-dev libqt6svg6 qt6-qpa-plugins \
      libgl1-mesa-dev fonts-dejavu-core ;;
    engine) printf '%s\n' libgloo-dev libcli11-dev libexpat1-dev "$(jpeg_package)" libpng-dev libcairo2-dev \
      python3 python3-pip unzip ;;
    tests) printf '%s\n' qt6-base-dev xvfb xauth sqlite3 ;;
    lint) printf '%s\n' clang-format clang-tidy clangd ;;
  esac
}

distribution() { (. /etc/os-release 2>/dev/null && printf '%s\n' "${ID:-unknown} ${ID_LIKE:-}"); }

jpeg_package() {
  case "$(distribution)" in
    ubuntu*) printf 'libjpeg-turbo8-dev\n' ;;
    *) printf 'libjpeg62-turbo-dev\n' ;;
  esac
}

missing_packages() {
  # It fails as soon as one of them is unknown to it.
  { dpkg-query -W -f '${Package}:${db:Status-Status}\n' "$@" 2>/dev/null || true; } | sed -n 's/:installed$//p' | sort >"$scratch/installed"
  printf '%s\n' "$@" | sort -u | comm -23 - "$scratch/installed"
}

# Prints the plan, then asks at the terminal, unless --yes was given or there is no terminal to ask at. Where root is not to be
# had it names what an administrator must install and goes on: what is really missing, CMake or the compiler say.
install_packages() {
  local stage names=() missing=() sudo=()
  for stage in build "$@"; do mapfile -t -O "${#names[@]}" names < <(packages_of "$stage"); done
  if ! command -v dpkg-query >/dev/null 2>&1; then
    say "this is neither Debian nor Ubuntu: the packages to install are named in README.md; going on with what is there"
    return 0
  fi
  scratch=$(mktemp -d)
  mapfile -t missing < <(missing_packages "${names[@]}")
  rm -rf "$scratch"
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null 2>&1 || { ! [ -t 0 ] && ! sudo -n true 2>/dev/null; }; then
      say "these packages are missing, and installing them needs root; ask an administrator for:"
      say "  apt-get install ${missing[*]}"
      say "going on with what is there"
      return 0
    fi
    sudo=(sudo)
  fi
  say "these packages are missing and will be installed with apt-get:"
  say "  ${missing[*]}"
  if [ -z "${BATCHSCOPE_YES:-}" ] && [ -t 0 ]; then
    read -r -p "batchscope: go on? [Y/n] " answer
    case "$answer" in ''|y|Y|yes) ;; *) fail "nothing was installed" ;; esac
  fi
  export DEBIAN_FRONTEND=noninteractive
  ${sudo[@]+"${sudo[@]}"} apt-get update -q >/dev/null || fail "apt-get update failed: is there a network?"
  ${sudo[@]+"${sudo[@]}"} apt-get install -y -q --no-install-recommends "${missing[@]}" >&2 || fail "apt-get install failed; start again when it is mended"
}
