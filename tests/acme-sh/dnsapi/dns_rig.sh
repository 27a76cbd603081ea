#!/usr/bin/env sh
# shellcheck disable=SC2034
dns_rig_info='The name servers of the rig
Site: example.test
Options:
 RIG_Server Address of the server.
 RIG_Key Algorithm, name and secret of the key, as nsupdate reads them.
'

dns_rig_add() {
    _rig_send "update add $1. 60 TXT \"$2\""
}

# Takes its own value only.
dns_rig_rm() {
    _rig_send "update delete $1. TXT \"$2\""
}

_rig_send() {
    RIG_Key="${RIG_Key:-$(_readaccountconf_mutable RIG_Key)}"
    if [ -z "$RIG_Server" ] || [ -z "$RIG_Key" ]; then
        _err "RIG_Server and RIG_Key are needed"
        return 1
    fi
    _saveaccountconf_mutable RIG_Key "$RIG_Key"
    if ! printf 'server %s\nkey %s\n%s\nsend\n' "$RIG_Server" "$RIG_Key" "$1" | nsupdate; then
        _err "no update with the key $RIG_Key"
        return 1
    fi
}
