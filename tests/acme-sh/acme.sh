#!/usr/bin/env sh
# Stands where acme.sh would, with the few functions of its interface that our scripts use. Like
# acme.sh, it runs whatever it is given as arguments by who reads it in.

_info() { printf '%s\n' "$1"; }

_err() {
    printf '%s\n' "$1" >&2
    return 1
}

_saveaccountconf_mutable() { printf "SAVED_%s='%s'\n" "$1" "$2" >>"$ACCOUNT_CONF_PATH"; }

_readaccountconf_mutable() {
    [ -e "$ACCOUNT_CONF_PATH" ] || return 0
    sed -n "s/^SAVED_$1='\(.*\)'$/\1/p" "$ACCOUNT_CONF_PATH" | tail -n 1
}

main() {
    [ -z "$1" ] && echo "Usage: acme.sh <command>" && return
    "$@"
}

main "$@"
