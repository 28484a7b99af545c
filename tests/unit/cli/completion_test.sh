#!/usr/bin/env bash
# completion_test.sh BALANCERCTL: the scripts that balancerctl prints, in the shells that are here. Bash always is.
set -euo pipefail
program=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$(realpath "$program")" "$work/balancerctl" 2>/dev/null || ln -s "$(realpath "$program")" "$work/balancerctl"
PATH=$work:$PATH
failed=0

expect() { # expect WHAT GOT WANTED
    if [ "$2" != "$3" ]; then
        printf 'FAILED: %s\n  got    %q\n  wanted %q\n' "$1" "$2" "$3"
        failed=1
    fi
}

# As readline calls it: the words, parted at = and : too; the last one is being typed.
in_bash() {
    bash -c '
        eval "$(balancerctl completion bash)"
        compopt() { COMPREPLY=(FILES); }
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _balancerctl
        echo "${COMPREPLY[*]}"' bash "$@"
}
expect 'bash: a command' "$(in_bash balancerctl config ro)" rollback
expect 'bash: all of a level' "$(in_bash balancerctl config r)" 'reload rollback'
expect 'bash: a value' "$(in_bash balancerctl -o '')" 'table json yaml'
expect 'bash: behind =' "$(in_bash balancerctl --output = y)" yaml
expect 'bash: right at =' "$(in_bash balancerctl --output =)" 'table json yaml'
expect 'bash: an address before' "$(in_bash balancerctl --server 127.0.0.1 : 1 stat)" status
expect 'bash: files' "$(in_bash balancerctl --token-file x)" FILES
expect 'bash: nothing' "$(in_bash balancerctl nonsense x)" ''

if command -v fish >/dev/null; then
    in_fish() { fish --no-config -c "balancerctl completion fish | source; complete -C '$1'" | cut -f1 | paste -sd' '; }
    expect 'fish: a command' "$(in_fish 'balancerctl config ro')" rollback
    expect 'fish: a value' "$(in_fish 'balancerctl -o ')" "$(printf 'table\njson\nyaml' | sort | paste -sd' ')"
else
    echo 'fish is not installed: its script was not run'
fi
if command -v zsh >/dev/null; then
    in_zsh() {
        zsh -f -c '
            compdef() { : }
            eval "$(balancerctl completion zsh)"
            _describe() { print -r -- "${(@P)2%%:*}" }
            _files() { print FILES }
            words=("$@") CURRENT=$#
            _balancerctl' zsh "$@"
    }
    expect 'zsh: a command' "$(in_zsh balancerctl config ro)" rollback
    expect 'zsh: files' "$(in_zsh balancerctl --token-file x)" FILES
else
    echo 'zsh is not installed: its script was not run'
fi
exit $failed
