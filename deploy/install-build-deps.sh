#!/usr/bin/env bash
# Installs what building needs on Debian 12, and only what is missing: root is needed only then.
# Node.js and npm are among it, unless Node 18 or newer is there already: the ranks of the tokenizers come from npm, and the
# end-to-end tests are run by Node. BALANCER_NODE=off leaves them out (deploy/build.sh then builds without the ranks).
# With --with-browser also the Chromium of the end-to-end tests (100 MB), unless there is one or BALANCER_NODE is off.
# HAProxy, nginx and Prometheus are for the tests of deploy/ only. They are unpacked into build/tools and not installed: as
# services they would start, on ports of ours among others. BALANCER_SERVICES=off leaves them out, and their tests.
# With --with-shells also zsh and fish, whose completions are tested (38 MB).
# With --with-symbolizer also what names the functions in ThreadSanitizer's reports, and so makes its suppressions work.
# The one list of packages; deploy/quickstart.sh and tests/run.sh call this.
set -euo pipefail

packages=(
    # compiler and build
    clang-19 libclang-rt-19-dev lld-19 cmake ninja-build ccache pkg-config
    # RPC and configuration
    libgrpc++-dev protobuf-compiler-grpc libprotobuf-dev protobuf-compiler
    libyaml-cpp-dev nlohmann-json3-dev libsqlite3-dev libcli11-dev
    # data plane
    libboost1.81-dev libboost-url1.81-dev libssl-dev libsimdjson-dev libre2-dev libxxhash-dev
    # token counting
    libpcre2-dev libutf8proc-dev
    # logs, metrics, tests, benchmarks
    libspdlog-dev prometheus-cpp-dev libgtest-dev libgmock-dev libbenchmark-dev
    # what TLS to providers trusts
    ca-certificates
    curl
    # the Debian package, its units and manual pages
    dpkg-dev file systemd groff-base
)

has_node() {
    command -v npm >/dev/null && command -v node >/dev/null &&
        [ "$(node --print 'process.versions.node.split(".")[0] >= 18' 2>/dev/null)" = true ]
}
# Programs for tests, by package and file; and the libraries that they need.
services=(haproxy:usr/sbin/haproxy nginx:usr/sbin/nginx prometheus:usr/bin/prometheus)
services_on=1
if [ "${BALANCER_SERVICES:-on}" = off ]; then services_on=0; fi
for flag in "$@"; do
    case $flag in
        --with-symbolizer) packages+=(llvm-19) ;;
        --with-shells) packages+=(zsh fish) ;;
        --with-browser)
            if [ "${BALANCER_NODE:-on}" != off ] && ! command -v chromium >/dev/null; then
                packages+=(chromium-headless-shell)
            fi
            ;;
        *)
            echo "install-build-deps.sh: unknown flag $flag" >&2
            exit 2
            ;;
    esac
done
if [ $services_on -eq 1 ]; then packages+=(liblua5.3-0 libopentracing-c-wrapper0); fi
if [ "${BALANCER_NODE:-on}" != off ] && ! has_node; then packages+=(nodejs npm); fi

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    echo "install-build-deps.sh: this is no Debian. Install the equivalents of these yourself:" >&2
    echo "  ${packages[*]}" >&2
    exit 1
fi

is_installed() {
    [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing=()
for package in "${packages[@]}"; do
    is_installed "$package" || missing+=("$package")
done
tools=$(cd "$(dirname "$0")/.." && pwd)/build/tools
unpacked=()
if [ $services_on -eq 1 ]; then
    for service in "${services[@]}"; do
        if [ ! -x "/${service#*:}" ] && [ ! -x "$tools/${service#*:}" ]; then unpacked+=("${service%%:*}"); fi
    done
fi

# Needs the package lists, and no root. A package's own dependencies are configuration, services and web pages, or in the list.
unpack_services() {
    if [ ${#unpacked[@]} -eq 0 ]; then return; fi
    echo "== unpacking into build/tools: ${unpacked[*]}"
    local folder
    folder=$(mktemp -d)
    # apt fetches as a user of its own.
    chmod 755 "$folder"
    (cd "$folder" && apt-get download -q "${unpacked[@]}" 2>&1 | grep -v '^W: Download is performed unsandboxed' || true)
    mkdir -p "$tools"
    local package
    for package in "${unpacked[@]}"; do dpkg-deb --extract "$folder/$package"_*.deb "$tools"; done
    rm -rf "$folder"
}

if [ ${#missing[@]} -eq 0 ] && { [ ${#unpacked[@]} -eq 0 ] || apt-cache show "${unpacked[@]}" >/dev/null 2>&1; }; then
    unpack_services
    echo "== all ${#packages[@]} Debian packages are there"
    exit 0
fi

# apt would take the older Boost away without asking; whoever builds with it should decide that.
if is_installed libboost1.74-dev && ! is_installed libboost1.81-dev; then
    echo "install-build-deps.sh: libboost1.74-dev is installed, and libboost1.81-dev, which this project" >&2
    echo "needs, cannot stand beside it. Remove it, then run this again:  apt-get remove libboost1.74-dev" >&2
    exit 1
fi

as_root=(env DEBIAN_FRONTEND=noninteractive)
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "install-build-deps.sh: packages are missing, and only root can install them. As root, run:" >&2
        echo "  apt-get update && apt-get install --no-install-recommends ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo "${as_root[@]}")
fi
echo "== installing ${#missing[@]} Debian packages: ${missing[*]}"
"${as_root[@]}" apt-get -o DPkg::Lock::Timeout=300 update -q
if [ ${#missing[@]} -gt 0 ]; then
    "${as_root[@]}" apt-get -o DPkg::Lock::Timeout=300 install -q -y --no-install-recommends "${missing[@]}"
fi
unpack_services
