#!/usr/bin/env python3
"""A provider in Python: dns01's JSON on standard input, PowerDNS's HTTP API behind it.

Variables: API_URL (ends in /api/v1/servers/localhost), API_KEY. Nothing but the standard
library is needed. An API that replaces whole RRsets is read, merged and written; dns01 runs
one program at a time for one credential, so nothing comes in between.
"""

import json
import os
import re
import sys
import urllib.error
import urllib.request

KINDS = {401: "auth", 403: "permission", 404: "not_found", 409: "conflict", 429: "rate_limited"}


def call(method, path, body=None):
    request = urllib.request.Request(
        os.environ["API_URL"] + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"X-API-Key": os.environ["API_KEY"], "Accept": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=20) as reply:
        return json.loads(reply.read() or b"null")


def quoted(value):
    parts = (value[start : start + 255] for start in range(0, len(value), 255))
    return " ".join('"%s"' % re.sub(r'(["\\])', r"\\\1", part) for part in parts)


def unquoted(content):
    strings = re.findall(r'"((?:[^"\\]|\\.)*)"', content)
    return re.sub(r"\\(.)", r"\1", "".join(strings))


def rrset(zone, name):
    """The TTL (None if there is nothing yet) and the records at a name."""
    found = call("GET", f"/zones/{zone}.?rrset_name={name}.&rrset_type=TXT")["rrsets"]
    return (found[0]["ttl"], found[0]["records"]) if found else (None, [])


def apply(zone, changes):
    rrsets = []
    for name in {change["name"]: None for change in changes}:
        ttl, before = rrset(zone, name)
        records = list(before)
        for change in (change for change in changes if change["name"] == name):
            same = [record for record in records if unquoted(record["content"]) == change["value"]]
            if change["change"] == "remove":
                records = [record for record in records if record not in same]
            elif not same:
                records.append({"content": quoted(change["value"]), "disabled": False})
                ttl = ttl or change["ttl"]
        if records != before:
            kind = "REPLACE" if records else "DELETE"
            rrsets.append({"name": name + ".", "type": "TXT", "changetype": kind, "ttl": ttl, "records": records})
    if rrsets:
        call("PATCH", f"/zones/{zone}.", {"rrsets": rrsets})
    return {}


def values(zone, name):
    return {"values": [unquoted(record["content"]) for record in rrset(zone, name)[1] if not record["disabled"]]}


def answer(request):
    zone = request["zone"]["name"]
    if request["operation"] == "apply":
        return apply(zone, request["changes"])
    if request["operation"] == "values":
        return values(zone, request["name"])
    return {"error": {"kind": "invalid", "message": "unknown operation"}}


def main():
    try:
        reply = answer(json.load(sys.stdin))
    except urllib.error.HTTPError as error:
        kind = KINDS.get(error.code, "unavailable" if error.code >= 500 else "invalid")
        failure = {"kind": kind, "message": f"{error.code}: {error.read(200).decode(errors='replace')}"}
        if error.headers.get("Retry-After", "").isdigit():
            failure["retry_after"] = int(error.headers["Retry-After"])
        reply = {"error": failure}
    except OSError as error:
        reply = {"error": {"kind": "unavailable", "message": str(error)}}
    json.dump(reply, sys.stdout)


main()
