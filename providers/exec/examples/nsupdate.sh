#!/bin/sh
# A provider in shell: dns01's JSON on standard input, DNS UPDATE by nsupdate. Needs jq, dig and
# nsupdate. Variables: SERVER (an address), KEY_FILE (as tsig-keygen prints it).
set -eu

request=$(cat)
errors=$(mktemp)
trap 'rm -f "$errors"' EXIT

field() { printf '%s' "$request" | jq -r "$1"; }

refuse() { # KIND MESSAGE
    jq -n --arg kind "$1" --arg message "$2" '{error: {kind: $kind, message: $message}}'
    exit 1
}

# Values as dig prints them, "one" "two\"three", one record a line, as a JSON list.
decode='[inputs | [scan("\"(?:[^\"\\\\]|\\\\.)*\"") | try fromjson catch ""] | join("")]'
# One change as nsupdate wants it: strings of at most 255 octets, in quotes.
encode='def quoted: . as $text | [range(0; length; 255) | $text[.:. + 255] | gsub("(?<c>[\\\\\"])"; "\\\(.c)") | "\"\(.)\""] | join(" ");
    .changes[] | if .change == "add" then "update add \(.name). \($ttls[.name] // .ttl) TXT \(.value | quoted)"
                 else "update delete \(.name). TXT \(.value | quoted)" end'

look() { dig "@$SERVER" +tcp +norecurse +noall +answer -q "$1." -t TXT; }

case $(field .operation) in
apply)
    # An add must not change the TTL of what stands there already.
    ttls='{}'
    for name in $(field '[.changes[] | select(.change == "add").name] | unique[]'); do
        ttl=$(look "$name" | awk '$4 == "TXT" { print $2; exit }')
        [ -z "$ttl" ] || ttls=$(printf '%s' "$ttls" | jq --arg name "$name" --argjson ttl "$ttl" '.[$name] = $ttl')
    done
    changes=$(printf '%s' "$request" | jq -r --argjson ttls "$ttls" "$encode")
    if printf 'server %s\nzone %s.\n%s\nsend\n' "$SERVER" "$(field .zone.name)" "$changes" |
        nsupdate -v -k "$KEY_FILE" >"$errors" 2>&1; then
        echo '{}'
        exit
    fi
    # The kind tells dns01 whether another try can help.
    why=$(cat "$errors")
    case $why in
    *BADKEY* | *BADSIG* | *BADTIME* | *TSIG*) refuse auth "$why" ;;
    *REFUSED*) refuse permission "$why" ;;
    *NOTAUTH* | *NOTZONE*) refuse not_found "$why" ;;
    *) refuse unavailable "$why" ;;
    esac
    ;;
values)
    look "$(field .name)" | awk '$4 == "TXT"' | jq -nR "{values: $decode}"
    ;;
*)
    refuse invalid "unknown operation"
    ;;
esac
