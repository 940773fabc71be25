#!/bin/sh
# What documents say about settings, commands and routes is what the programs say, and the manual pages are clean.
set -u
source=${TALEA_TEST_SOURCE:-$(dirname "$0")/..}
talead=${TALEA_TEST_TALEAD:-./talead}
talea=${TALEA_TEST_TALEA:-./talea}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
bad=0
complain() {
    echo "$1"
    bad=1
}
same() { # same EXPECTED FOUND WHAT
    [ -s "$1" ] || complain "nothing to compare $3 with"
    diff "$1" "$2" || complain "$3 differs from talead help serve (< the program, > the document)"
}

# Settings: name, default and meaning, in the program's order.
"$talead" help serve | sed -n 's/^  \(TALEA_[A-Z_]*\)  *\(.*\) (\([^()]*\))$/\1|\3|\2/p' >"$work/settings"
sed -n '/^<!-- settings/,/^<!-- end of settings/s/^| `\(TALEA_[A-Z_]*\)` | \(.*\) | \(.*\) |$/\1|\2|\3/p' \
    "$source/README.md" | sed 's/\\</</g' >"$work/readme"
same "$work/settings" "$work/readme" "the settings table of README.md"
awk '/^\.It Cm [a-z_]* Pq Ev TALEA_/ { name = $6; key = $3; getline; meaning = $0 }
     /^Default: / { if ("TALEA_" toupper(key) != name) name = name " under the key " key
                    print name "|" substr($0, 10) "|" meaning }' "$source/man/talea.yaml.5" >"$work/page"
same "$work/settings" "$work/page" "man/talea.yaml.5"

# Commands and options.
for command in $("$talead" --help | sed -n 's/^  \([a-z-]*\) .*/\1/p'); do
    grep -q "^\.It Cm $command\|^\.Cm $command" "$source/man/talead.8" ||
        complain "man/talead.8 does not explain '$command'"
    for flag in $("$talead" help "$command" | sed -n 's/^usage: //p' | grep -o -- '--[a-z-]*'); do
        grep -q -- "Fl Fl ${flag#--}" "$source/man/talead.8" || complain "man/talead.8 does not explain $flag"
    done
done
{
    "$talea" --help
    for command in asset account post balance history tx trial-balance tail completions; do
        "$talea" help $command
    done
} | sed -n 's/^  \(--[a-z-]*\) .*/\1/p' | sort -u >"$work/flags"
[ -s "$work/flags" ] || complain "talea --help lists no options"
while read -r flag; do
    grep -q -- "Fl Fl ${flag#--}" "$source/man/talea.1" || complain "man/talea.1 does not explain $flag"
done <"$work/flags"

# Routes: the templates of the table against the page's items.
sed -n 's/^ *\[ROUTE_[A-Z_]*\] = {"\(\/[^"]*\)".*/\1/p' "$source/server/routes.c" | sort >"$work/routes"
sed -n 's/^\.It Cm \(GET\|POST\) //p' "$source/man/talea-api.7" |
    sed 's/ Ns Ar \([a-z_]*\)/{\1}/g; s/ Ns Cm //g' | sort >"$work/documented"
[ -s "$work/routes" ] || complain "no routes found in server/routes.c"
diff "$work/routes" "$work/documented" || complain "man/talea-api.7 and server/routes.c list different routes"

# Error words.
for word in $(sed -n 's/.*open_error(j, "\([a-z_]*\)").*/\1/p' "$source/server/answers.c" | sort -u); do
    grep -q "^\.It $word Ta" "$source/man/talea-api.7" || complain "man/talea-api.7 does not list the error $word"
done

if [ -n "${MANDOC:-}" ]; then
    for page in "$source"/man/*.[1-8]; do
        "$MANDOC" -T lint -W warning "$page" || bad=1
    done
fi
exit $bad
