#!/bin/bash
# A client of a talea ledger, with curl 7.71 or later and bash 4.4 or later.
#
#     TALEA_URL=http://127.0.0.1:8080 TALEA_TOKEN=... bash client.sh [EVENTS]
#
# It registers an asset, opens accounts, posts, reads, and follows the events of its book up to the one with the seq
# EVENTS (5). Every step may be repeated: a second run changes nothing. What is worth copying: call and follow.
# Answers are shown as they came; jq before 1.7 rounds amounts above 2^53.
set -euo pipefail
url=${TALEA_URL:-http://127.0.0.1:8080}
url=${url%/}
until=${1:-5}
book=examples/curl
curl_pid=
work=$(mktemp -d)
clean_up() {
    if [ -n "$curl_pid" ]; then kill "$curl_pid" 2>/dev/null || true; fi
    rm -rf "$work"
}
trap clean_up EXIT

# The token is in a file of ours alone: what stands on curl's command line, every user of the machine can read.
echo 'Content-Type: application/json' >"$work/headers"
[ -z "${TALEA_TOKEN:-}" ] || printf 'Authorization: Bearer %s\n' "$TALEA_TOKEN" >>"$work/headers"
curl=(curl -sS --path-as-is -H "@$work/headers")

# A book or an account as a segment of a path, every byte as %XX: it may hold slashes, spaces, colons.
segment() { printf %s "$1" | od -An -v -tx1 | tr -d ' \n' | sed 's/../%&/g'; }

# call PATH [BODY]: prints the answer; with a body it is a POST. curl tries again by itself after 408, 429, 5xx and
# where the connection fails, waits as Retry-After says, or else 1 s, 2 s, 4 s and so on. Whether a try without an
# answer has done something is not known; but all that is sent here may be sent twice: a post has its idempotency key,
# and an asset or account that is there already is no error.
call() {
    local status
    : >"$work/answer"
    status=$("${curl[@]}" ${2:+--data-binary "$2"} --max-time 35 --retry 7 --retry-all-errors \
        -o "$work/answer" -w '%{http_code}' "$url$1") || { echo "no answer from $url" >&2; exit 1; }
    case $status in
        2??) cat "$work/answer" ;;
        *) echo "refused: $1: $status $(cat "$work/answer")" >&2; exit 1 ;;
    esac
}

# post KEY MINOR: the key names what happened in your business (an order, a payment), so that a retry, also after a
# crash, has the same one. Never draw a random key for each try.
post() {
    local answer
    answer=$(call /v1/transactions '{
        "book": "'$book'", "idempotency_key": "'"$1"'", "metadata": {"order": "'"$1"'"},
        "postings": [
          {"account": "tills/1", "direction": "debit",  "amount": {"minor": '"$2"', "asset": "EUR"}},
          {"account": "sales",   "direction": "credit", "amount": {"minor": '"$2"', "asset": "EUR"}}]}')
    echo "posted $1: $answer"
}

read_account() { # read_account PATH
    local account balance page after=0
    account=/v1/books/$(segment $book)/accounts/$(segment "$1")
    balance=$(call "$account/balance")
    echo "balance: $balance"
    while [ -n "$after" ]; do
        page=$(call "$account/history?limit=2&after_seq=$after")
        echo "history: $page"
        after=$(sed -n 's/.*"next":\([0-9]\{1,\}\)}$/\1/p' <<<"$page") # null at the end
    done
}

# Opens the stream behind the event $last as descriptor 3. -N: nothing is held back in a buffer. No --retry: curl
# would begin at the same event again.
open_stream() {
    : >"$work/head"
    exec 3< <(exec "${curl[@]}" -N -D "$work/head" -H "Last-Event-ID: $last" --connect-timeout 10 \
        "$url/v1/books/$(segment $book)/events")
    curl_pid=$!
}

close_stream() {
    exec 3<&-
    kill "$curl_pid" 2>/dev/null || true
    wait "$curl_pid" 2>/dev/null || true
    curl_pid=
}

# read_events UNTIL: shows events up to that seq or to the end of the stream, and leaves the seq of the last whole
# one in $last. An idle stream carries a comment every 10 to 15 s: after 45 s of silence it is dead.
read_events() {
    local id= data=
    line=
    while [ "$last" -lt "$1" ] && IFS= read -r -t 45 line <&3; do
        case $line in
            'id: '*) id=${line#id: } ;;
            'data: '*) data=${line#data: } ;;
            'retry: '*) pause=$(((${line#retry: } + 999) / 1000)) ;;
            '') # the event is whole
                [ -n "$data" ] || continue
                echo "event $id: $data"
                last=$id data= pause=1
                ;;
        esac
    done
}

# follow UNTIL: events behind $last up to the seq UNTIL, each once. A stream ends whenever a process of the ledger is
# replaced; the next one begins behind the last event that was whole.
follow() {
    local status after
    pause=1
    while [ "$last" -lt "$1" ]; do
        open_stream
        read_events "$1"
        close_stream
        [ "$last" -lt "$1" ] || break
        status=$(sed -n 's|^HTTP/[^ ]* \([0-9]*\).*|\1|p' "$work/head" | tail -n 1)
        after=$(sed -n 's/^[Rr]etry-[Aa]fter: *\([0-9]\{1,3\}\).*/\1/p' "$work/head" | tail -n 1)
        case $status in
            '' | 200 | 408 | 429 | 502 | 503 | 504) ;;
            *) echo "refused: the stream of $book: $status $line" >&2; exit 1 ;;
        esac
        if [ "${after:-0}" -gt "$pause" ]; then pause=$after; fi
        echo "stream: ended; resuming behind event $last in $pause s"
        sleep "$pause"
        pause=$((pause < 16 ? pause * 2 : 30))
    done
    echo "closed behind event $last"
}

call /v1/assets '{"id": "EUR", "class": "fiat", "precision": 2, "name": "Euro"}'
call /v1/accounts '{"book": "'$book'", "path": "tills/1", "asset": "EUR", "kind": "asset",
    "normal_side": "debit", "min_balance": 0}'
call /v1/accounts '{"book": "'$book'", "path": "sales", "asset": "EUR", "kind": "income", "normal_side": "credit"}'
echo "EUR is registered, tills/1 and sales are open"
post order-1 1250 # minor units: 12.50 EUR
post order-2 399
post order-3 9007199254740993 # 2^53 + 1
post order-1 1250
read_account tills/1
# Twice, as a consumer that is restarted: it keeps the last seq beside what it made of the events, best in the same
# transaction of its own database.
last=0
follow $((until < 2 ? until : 2))
follow "$until"
