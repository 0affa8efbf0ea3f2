#!/usr/bin/env bash
# Writes e2e/artifacts/<profile>/ anew: what `esb artifact generate` makes of e2e/fixtures, raw. With --check nothing
# is written: it generates into a temporary directory and fails where a byte differs from what is committed.
set -euo pipefail
cd "$(dirname "$0")/../.."

out=e2e/artifacts check=
case "${1:-}" in
--check)
    check=yes
    out=$(mktemp -d)
    trap 'rm -rf "$out"' EXIT
    ;;
"") ;;
*)
    echo "usage: $0 [--check]" >&2
    exit 2
    ;;
esac

# One time for all, since generated_at is part of the file; the registry of the gate, for the images' references.
export SOURCE_DATE_EPOCH=1767225600 CONTAINER_REGISTRY=127.0.0.1:5010
esb=$PWD/.venv/bin/esb
templates=(template.connectivity.yaml template.standard.yaml template.runtime.yaml)

generate() { # profile, mode, templates
    local profile=$1 mode=$2 target
    shift 2
    target=$(realpath --canonicalize-missing "$out/$profile")
    (cd e2e/fixtures && "$esb" artifact generate "${@/#/--template=}" --mode "$mode" --output "$target") >"$log" 2>&1 || {
        cat "$log" >&2
        exit 1
    }
}

log=$(mktemp)
generate e2e-process process "${templates[@]}"
generate e2e-docker docker "${templates[@]}" template.image.yaml
generate e2e-containerd containerd "${templates[@]}" template.image.yaml
generate e2e-gvisor containerd "${templates[@]}" template.image.yaml
rm -f "$log"

[ -n "$check" ] || exit 0
if ! diff --recursive --brief e2e/artifacts "$out"; then
    echo "e2e/artifacts is not what the producer makes of e2e/fixtures; run e2e/scripts/regenerate_artifacts.sh" >&2
    exit 1
fi
