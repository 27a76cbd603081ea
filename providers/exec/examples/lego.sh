#!/bin/sh
# A program in lego's form: `lego.sh present|cleanup NAME. VALUE`, DNS UPDATE by nsupdate.
# Variables: SERVER (an address), ZONE, KEY_FILE (as tsig-keygen prints it).
set -eu

action=$1 name=$2 value=$3
quoted=$(printf '%s' "$value" | fold -b -w 255 | sed 's/[\\"]/\\&/g; s/.*/"&"/' | tr '\n' ' ')

case $action in
present)
    # An add must not change the TTL of what stands there already.
    ttl=$(dig "@$SERVER" +tcp +norecurse +noall +answer -q "$name" -t TXT | awk '$4 == "TXT" { print $2; exit }')
    change="update add $name ${ttl:-60} TXT $quoted"
    ;;
cleanup)
    change="update delete $name TXT $quoted"
    ;;
*)
    echo "unknown action $action" >&2
    exit 2
    ;;
esac

printf 'server %s\nzone %s\n%s\nsend\n' "$SERVER" "$ZONE" "$change" | nsupdate -v -k "$KEY_FILE"
