#!/usr/bin/env bash
# run_sdk_test.sh TEST BIN_DIR WORK_DIR [FOLDER]: installs what FOLDER's package.json names (by default this one's: the SDKs)
# into WORK_DIR when it is not there yet, then runs FOLDER's TEST.mjs against the binaries in BIN_DIR. Exit code 77: there is
# no Node of version 18 or newer, or no Chromium for the test that needs it (1 when CI is set).
set -euo pipefail

test=$1
bin_dir=$(cd "$2" && pwd)
work_dir=$3
here=$(cd "${4:-$(dirname "$0")}" && pwd)

# Continuous integration installs what is needed: there, a test that is not run is a failure.
miss() {
    echo "this test needs $1 on PATH"
    if [ -n "${CI:-}" ]; then exit 1; fi
    exit 77
}

if ! command -v node >/dev/null || ! command -v npm >/dev/null ||
    [ "$(node --print 'process.versions.node.split(".")[0] >= 18')" != true ]; then
    miss "node (18 or newer) and npm"
fi
if [ "$test" = browser_test ] && ! command -v chromium-headless-shell >/dev/null && ! command -v chromium >/dev/null; then
    miss "chromium-headless-shell or chromium"
fi

mkdir -p "$work_dir"
cd "$work_dir"
if ! cmp -s "$here/package-lock.json" installed-lock.json; then
    echo "installing what package-lock.json names into $work_dir"
    rm -rf node_modules installed-lock.json
    cp "$here/package.json" "$here/package-lock.json" .
    npm ci --ignore-scripts --no-audit --no-fund </dev/null
    # Last, so that a broken installation is done again.
    cp "$here/package-lock.json" installed-lock.json
fi
exec node --test-reporter=spec "$here/$test.mjs" "$bin_dir" "$work_dir"
