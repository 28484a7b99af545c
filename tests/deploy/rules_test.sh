#!/usr/bin/env bash
# rules_test.sh SOURCE_DIR: promtool's own checks of deploy/prometheus, and its unit tests of the rules (rules_test.yml).
set -euo pipefail

source_dir=$1
PATH=$source_dir/build/tools/usr/bin:$PATH
if ! command -v promtool >/dev/null; then
    echo "there is no promtool: deploy/install-build-deps.sh brings it; BALANCER_SERVICES=off builds without this test" >&2
    exit 1
fi
promtool check config "$source_dir/deploy/prometheus/prometheus.yml"
# promtool wants the rules beside the tests.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cp "$source_dir"/deploy/prometheus/rules/*.yml "$source_dir"/tests/deploy/*_test.yml "$folder"
promtool test rules "$folder"/*_test.yml
