#!/bin/sh
# server/ and arbiter/ include only common/, never each other; common/ includes neither; client/ is on its own,
# but for the command line, whose modules stand alone.
set -u
cd "${TALEA_TEST_SOURCE:-$(dirname "$0")/..}" || exit 1
bad=0
forbid() { # forbid FOLDER PATTERN
    if grep -En "^#include \"($2)/" "$1"/*.c "$1"/*.h; then
        echo "$1/ must not include $2/"
        bad=1
    fi
}
forbid server 'arbiter|client'
forbid arbiter 'server|client'
forbid common 'server|arbiter|client'
forbid client 'server|arbiter'
alone='command_help|command_line|completions'
if grep -En '^#include "common/' client/*.[ch] common/command_*.[ch] common/completions.[ch] | grep -Ev "\"common/($alone)\.h\""; then
    echo "of common/, client/ and the modules that it links include $alone alone"
    bad=1
fi
# h2o stays behind server/http.h, LMDB behind the index and the stores.
h2o='server/http(|_server|_connections)\.[ch]'
if grep -lE '#include (<h2o|"server/http_(server|connections)\.h")' server/*.[ch] | grep -Ev "^$h2o\$"; then
    echo "only server/http.c, http_server and http_connections know h2o"
    bad=1
fi
if grep -ln '#include <lmdb' server/*.[ch] common/*.[ch] | grep -Ev '^common/(index|key)_reader\.c$'; then
    echo "only common/index_reader.c, common/key_reader.c and arbiter/ know LMDB"
    bad=1
fi
exit $bad
