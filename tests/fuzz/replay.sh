#!/bin/sh
# Replays every target's corpus: seeds, and what once broke it. Each replay program is beside the tests that make built.
built=$(dirname "${TALEA_TEST_TALEAD:-./talead}")/tests/fuzz
corpus=${TALEA_TEST_SOURCE:-$(dirname "$0")/../..}/tests/fuzz/corpus
status=0
for folder in "$corpus"/*; do
    target=$(basename "$folder")
    "$built/replay_$target" "$folder" || status=1
done
exit $status
