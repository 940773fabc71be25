#!/bin/sh
# The programs were built with the hardening flags: what the linker and the compiler left in them says so.
set -u
[ "${TALEA_TEST_HARDENING:-yes}" = yes ] || { echo "configured with --disable-hardening"; exit 77; }
command -v readelf >/dev/null || { echo "readelf is not there (package binutils)"; exit 77; }
bad=0
fault() {
    echo "$1: $2"
    bad=1
}
check() { # check PROGRAM
    [ -x "$1" ] || { fault "$1" "no such program"; return; }
    head=$(readelf -hWld "$1") symbols=$(readelf -Ws --dyn-syms "$1")
    echo "$head" | grep -q 'Type: *DYN' || fault "$1" "no position-independent executable"
    echo "$head" | grep -q 'FLAGS_1.*NOW' || fault "$1" "symbols are bound late (no BIND_NOW)"
    echo "$head" | grep -q ' GNU_RELRO ' || fault "$1" "relocations stay writable (no RELRO)"
    echo "$head" | grep ' GNU_STACK ' | grep -q ' RW ' || fault "$1" "the stack may be executed"
    echo "$symbols" | grep -q __stack_chk_fail || fault "$1" "no stack protector"
    # A sanitizer takes the place of the C library's checks.
    echo "$symbols" | grep -Eq '__(asan|tsan)_init' && return
    echo "$symbols" | grep -Eq '__[a-z]+_chk(@| |$)' || fault "$1" "no call of the C library is checked (_FORTIFY_SOURCE)"
}
check "${TALEA_TEST_TALEAD:-./talead}"
check "${TALEA_TEST_TALEA:-./talea}"
check "${TALEA_TEST_BENCH:-./talea-bench}"
exit $bad
