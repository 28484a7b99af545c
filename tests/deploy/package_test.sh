#!/usr/bin/env bash
# package_test.sh SOURCE_DIR BUILD_DIR: makes the Debian package of what is built, installs it into an empty root with dpkg and
# starts from there what the units start. Exit code 77: not root, and dpkg installs for root alone.
set -euo pipefail

source_dir=$1
build_dir=$2
unit_dir=usr/lib/systemd/system
name=claude-code-provider-balancer
if [ "$(id -u)" -ne 0 ]; then
    echo "only root can install packages"
    exit 77
fi

work=$(mktemp -d)
root=$work/root
pids=()
finish() {
    if [ ${#pids[@]} -gt 0 ]; then kill -KILL "${pids[@]}" 2>/dev/null || true; fi
    rm -rf "$work"
}
trap finish EXIT

fail() {
    echo "FAILED: $*" >&2
    cat "$work"/*.output >&2 2>/dev/null || true
    exit 1
}

# until_it SECONDS WHAT COMMAND...
until_it() {
    local tries=$(($1 * 10)) what=$2
    shift 2
    while ! "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        if [ $tries -eq 0 ]; then fail "never: $what"; fi
        sleep 0.1
    done
}

echo "== making the package"
(cd "$build_dir" && cpack -G DEB -B "$work" -D CPACK_DEBIAN_COMPRESSION_TYPE=gzip) >"$work/cpack.output" 2>&1 || fail cpack
package=$(ls "$work"/*.deb)

echo "== installing $(basename "$package")"
mkdir -p "$root"/var/lib/dpkg/{info,updates}
touch "$root/var/lib/dpkg/status"
# An empty root has no libraries and no shell: the host's are used, and the scripts keep to DPKG_ROOT.
with_dpkg() {
    dpkg --root="$root" --force-script-chrootless --force-depends "$@"
}
with_dpkg --install "$package" >"$work/dpkg.output" 2>&1 || fail dpkg
for file in usr/bin/balancer-controlplane usr/bin/balancer-dataplane usr/bin/balancerctl; do
    [ -x "$root/$file" ] || fail "$file is not there"
done
for page in man1/balancerctl.1 man8/balancer-controlplane.8 man8/balancer-dataplane.8; do
    # groff names the file in its complaints.
    said=$(gzip -dc "$root/usr/share/man/$page.gz" | groff -man -Tutf8 -ww 2>&1 >/dev/null) || fail "no manual page $page"
    [ -z "$said" ] || fail "manual page $page: $said"
done
bash -n "$root/usr/share/bash-completion/completions/balancerctl" || fail "completion for bash"
for file in zsh/vendor-completions/_balancerctl fish/vendor_completions.d/balancerctl.fish; do
    [ -s "$root/usr/share/$file" ] || fail "$file is not there"
done
for user in balancer balancer-dataplane; do
    grep -q "^$user:" "$root/etc/passwd" || fail "no user $user"
done
[ "$(stat -c %a "$root/etc/balancer")" = 770 ] || fail "mode of /etc/balancer"
[ "$(stat -c %a:%u "$root/etc/balancer/secrets")" = 700:0 ] || fail "mode of /etc/balancer/secrets"
group=$(awk -F: '$1 == "balancer" {print $3}' "$root/etc/group")
[ "$(stat -c %g "$root/etc/balancer")" = "$group" ] || fail "group of /etc/balancer"
dpkg-deb --field "$package" Depends | grep -q 'libssl3' || fail "the libraries are not among what it depends on"

echo "== the units"
# What they order themselves by is the host's, and so is what they call beside our own programs.
install -D /bin/kill "$root/bin/kill"
cp /usr/lib/systemd/system/*.{target,slice,mount,socket} "$root/$unit_dir" 2>/dev/null || true
for unit in balancer-controlplane.service balancer-dataplane@dp1.service; do
    said=$(systemd-analyze verify --root="$root" --man=no "$unit" 2>&1) || fail "systemd-analyze verify $unit: $said"
    [ -z "$said" ] || fail "systemd-analyze verify $unit: $said"
    # In tenths; docs/operations.md quotes the number.
    systemd-analyze security --root="$root" --offline=true --no-pager --threshold=15 "$unit" >"$work/security" ||
        fail "exposure of $unit: $(tail -n 1 "$work/security")"
    level=$(sed -n 's/.*exposure level for .*: \([0-9.]*\) .*/\1/p' "$work/security")
    grep -q "\`${unit/dp1/}\` | $level |" "$source_dir/docs/operations.md" ||
        fail "docs/operations.md does not say that the exposure of $unit is $level"
done

# What the unit $1 runs, in the root; %i is dp1.
command_of() {
    sed -n 's/^ExecStart=//p' "$root/$unit_dir/$1" |
        sed "s#%i#dp1#g; s#/usr/bin/#$root&#g; s#/etc/#$root&#g; s#/var/lib/#$root&#g"
}
# start NAME UNIT: its process id goes to pids.
start() {
    eval "exec $(command_of "$2")" >"$work/$1.output" 2>&1 &
    pids+=($!)
}
address() {
    sed -n "s/.*\"$2\": *\"\([^\"]*\)\".*/\1/p" "$root/var/lib/$1/addresses.json"
}
answers() {
    curl --noproxy '*' -sf --max-time 2 "http://$1/readyz"
}

echo "== starting what they start"
cp "$root/usr/share/doc/$name/config.example.yaml" "$root/etc/balancer/config.yaml"
# As systemd would: credentials in a folder that is the service's alone; there are none yet.
export CREDENTIALS_DIRECTORY=$work/credentials
install -d -m 700 "$CREDENTIALS_DIRECTORY"
export CONTROLPLANE_OPTIONS='--grpc 127.0.0.1:0 --http 127.0.0.1:0'
start control balancer-controlplane.service
until_it 30 "the control plane listens" test -s "$root/var/lib/balancer/addresses.json"
until_it 30 "the control plane is ready" answers "$(address balancer http)"
# As a credential of systemd is: its ACL shows as the group's.
install -m 440 "$root/var/lib/balancer/dataplane.token" "$CREDENTIALS_DIRECTORY/dataplane.token"
export DATAPLANE_OPTIONS="--control-plane $(address balancer grpc) --listen 127.0.0.1:0 --admin 127.0.0.1:0"
start dp1 balancer-dataplane@.service
until_it 30 "the data plane listens" test -s "$root/var/lib/balancer-dataplane/dp1/addresses.json"
until_it 30 "the data plane is ready" answers "$(address balancer-dataplane/dp1 admin)"
"$root/usr/bin/balancerctl" --server "$(address balancer grpc)" --token-file "$root/var/lib/balancer/admin.token" status \
    >"$work/ctl.output" || fail "balancerctl status"
for ((i = ${#pids[@]} - 1; i >= 0; --i)); do
    kill -TERM "${pids[$i]}"
    wait "${pids[$i]}" || fail "a program ended with $?"
done
pids=()

echo "== removing it"
with_dpkg --purge $name >"$work/dpkg.output" 2>&1 || fail "dpkg --purge"
left=$(cd "$root" && find usr/bin usr/share/doc "$unit_dir" var/lib/balancer* -name '*balancer*' 2>/dev/null || true)
[ -z "$left" ] || fail "left behind: $left"
echo "== the package is good"
