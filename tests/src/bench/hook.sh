#!/bin/sh
# uacme's hook: METHOD TYPE NAME TOKEN VALUE. Adds the value by nsupdate and returns when both
# secondaries answer with it, looking every 50 ms. Nobody may keep it: uacme proves apex and
# wildcard one after the other, and the CA's resolver would still know the first value.
[ "$2" = dns-01 ] || exit 1
name=_acme-challenge.$3

tell() {
    printf 'server %s %s\nzone %s\n%s\nsend\n' "${PRIMARY%:*}" "${PRIMARY##*:}" "$ZONE" "$1" |
        nsupdate -v -y "$RFC2136_TSIG_ALGORITHM:$RFC2136_TSIG_KEY:$RFC2136_TSIG_SECRET"
}

if [ "$1" != begin ]; then
    tell "update delete $name. TXT $5"
    exit
fi
tell "update add $name. 0 TXT $5" || exit 1
for server in $SECONDARIES; do
    until dig +norecurse +short "@$server" "$name" TXT | grep -qF -- "$5"; do sleep 0.05; done
done
