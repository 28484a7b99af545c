#!/usr/bin/env bash
# Installs what is missing, builds, runs all tests, and ends with CTest's closing lines and exit code.
# BALANCER_PRESET chooses dev (ASan and UBSan; the default), tsan or release; BALANCER_JOBS how much runs at once;
# BALANCER_NODE=off does without Node.js, npm and Chromium, and so without counting tokens locally and the end-to-end tests;
# BALANCER_SERVICES=off without HAProxy, nginx and Prometheus, and so without the tests of deploy/ with them.
set -euo pipefail

cd "$(dirname "$0")/.."
preset=${BALANCER_PRESET:-dev}
case $preset in
    dev | tsan | release) ;;
    *)
        echo "run.sh: BALANCER_PRESET is '$preset'; it can be dev, tsan or release" >&2
        exit 1
        ;;
esac

needs=(--with-browser --with-shells)
if [ "$preset" = tsan ]; then needs+=(--with-symbolizer); fi
deploy/install-build-deps.sh "${needs[@]}"
deploy/build.sh "$preset"
echo "== testing preset $preset"
exec ctest --preset "$preset" --parallel "$(deploy/build.sh --jobs)"
