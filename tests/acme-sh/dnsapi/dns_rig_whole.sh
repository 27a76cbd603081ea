#!/usr/bin/env sh
# shellcheck disable=SC2034
dns_rig_whole_info='The name servers of the rig, as scripts write that know whole RRsets only
Site: example.test
Options:
 RIG_Server Address of the server.
 RIG_Key Algorithm, name and secret of the key, as nsupdate reads them.
'

dns_rig_whole_add() {
    _rig_send "update add $1. 60 TXT \"$2\""
}

# Takes every value at the name, whatever it is given.
dns_rig_whole_rm() {
    _rig_send "update delete $1. TXT"
}

_rig_send() {
    printf 'server %s\nkey %s\n%s\nsend\n' "$RIG_Server" "$RIG_Key" "$1" | nsupdate
}
