#!/bin/sh
# Runs one step of a CI job in a guest of sand, on any runner that runs shell commands: `./in-sand.sh npm ci`, or a script on
# standard input: `./in-sand.sh < build.sh`. Ends with the exit code of `sand ci`: the step's own, 120 where something
# was denied, 121 for drift. Settings: SAND_POLICY, SAND_FLAGS (split at spaces), SAND_REPORTS (a folder).
set -eu
: "${SAND_POLICY:=strict}" "${SAND_FLAGS:=}" "${SAND_REPORTS:=sand-egress}"
mkdir -p "$SAND_REPORTS"
step=1
while [ -e "$SAND_REPORTS/$step.xml" ]; do step=$((step + 1)); done
[ $# -gt 0 ] || set -- sh -eu -c "$(cat)"
# What earlier guests have used is not for later ones to change.
# shellcheck disable=SC2086
exec sand ci --policy "$SAND_POLICY" --mount . --mount "./$SAND_REPORTS:ro" $SAND_FLAGS \
  --report "junit=$SAND_REPORTS/$step.xml" --report "markdown=$SAND_REPORTS/$step.md" -- "$@"
