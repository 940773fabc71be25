#!/bin/sh
# Runs the end-to-end tests against the binaries that `make check` has built.
exec "${PYTEST:-pytest-3}" -q -p no:cacheprovider -x --durations=8 "${TALEA_TEST_SOURCE:-$(dirname "$0")/../..}/tests/e2e"
