#!/bin/sh
# Runs the end-to-end tests against the binaries that `make check` has built: several at a time where pytest-xdist is
# there, since most of what they do is wait. TALEA_TEST_PROCESSES says how many; 0: one after another.
pytest=${PYTEST:-pytest-3}
processes=${TALEA_TEST_PROCESSES:-3}
if [ "$processes" -gt 0 ] && "$pytest" --help | grep -q numprocesses; then
    set -- -n "$processes" "$@"
fi
exec "$pytest" -q -p no:cacheprovider -x --durations=8 "$@" "${TALEA_TEST_SOURCE:-$(dirname "$0")/../..}/tests/e2e"
