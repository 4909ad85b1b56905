# Sourced: makes sure that the Debian packages that building takes are installed, or says what to type and exits.

# install_packages PACKAGE...: the same for others.
install_packages() {
  local packages=("$@")
  local missing=() package as_root=()
  if ! command -v apt-get >/dev/null; then
    echo "no Debian: taking it that the equivalents of these are installed: ${packages[*]}" >&2
    return
  fi
  for package in "${packages[@]}"; do
    [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
  done
  ((${#missing[@]} > 0)) || return 0
  if ((EUID != 0)); then
    as_root=(sudo -n)
    if ! sudo -n true 2>/dev/null; then
      echo "packages are missing; as root: apt-get install ${missing[*]}" >&2
      exit 1
    fi
  fi
  echo "installing ${missing[*]}" >&2
  if ! { "${as_root[@]}" apt-get update &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"; } >&2; then
    echo "could not install packages; as root: apt-get install ${missing[*]}" >&2
    exit 1
  fi
}

install_packages g++ cmake ninja-build libsimgrid-dev libboost-program-options-dev libfmt-dev libspdlog-dev \
  libgtest-dev libgmock-dev nlohmann-json3-dev libopenmpi-dev openmpi-bin
