# shellcheck shell=bash
# What every part uses: the paths, messages with times, starting and stopping by pid file.

STATE=/var/lib/esb-e2e
RUN=/run/esb-e2e
LOCK=/run/lock/esb-e2e.lock
REGISTRY=127.0.0.1:5010

say() { echo "setup-host: $*" >&2; }

fail() {
    say "$*"
    exit 1
}

# step TEXT COMMAND…: says what happens and how long it took; the command's own noise goes to a log that is shown
# when it fails.
step() {
    local text=$1 began log code tenths
    shift
    began=${EPOCHREALTIME/./}
    mkdir -p "$STATE/log"
    log=$STATE/log/step.log
    say "$text …"
    # A subshell, not an "if": errexit must hold inside.
    set +e
    (set -e && "$@") >"$log" 2>&1
    code=$?
    set -e
    if [ "$code" != 0 ]; then
        tail --lines 40 "$log" >&2
        fail "$text: failed with code $code; the whole log is $log"
    fi
    tenths=$(((${EPOCHREALTIME/./} - began) / 100000))
    say "$text: $((tenths / 10)).$((tenths % 10)) s"
}

need_root() { [ "$(id -u)" = 0 ] || fail "not root: run e2e/setup-host.sh once as root to $1"; }

# Two runs at a time would install and build into each other. The kernel drops the lock with its holder.
one_at_a_time() {
    exec 9>"$LOCK"
    if ! flock --nonblock 9; then
        say "waiting for another run of this script"
        flock --timeout 1800 9 || fail "another run holds $LOCK for more than half an hour"
    fi
}

has_systemd() { [ -d /run/systemd/system ]; }

# start_daemon NAME COMMAND…: detached from this shell, its terminal and its lock; log and pid in the state directory.
start_daemon() {
    local name=$1
    shift
    mkdir -p "$STATE/log" "$RUN"
    # shellcheck disable=SC2016  # the inner shell's
    setsid --fork bash -c 'echo $$ >"$1" && shift && exec "$@"' bash "$RUN/$name.pid" "$@" \
        >>"$STATE/log/$name.log" 2>&1 </dev/null 9>&-
}

# ours NAME PROGRAM: the pid of the daemon that this script started, when it still is that program.
ours() {
    local pid
    pid=$(cat "$RUN/$1.pid" 2>/dev/null) || return 1
    [ "$(basename "$(readlink "/proc/$pid/exe" 2>/dev/null)")" = "$2" ] && echo "$pid"
}

# stop_daemon NAME PROGRAM SECONDS
stop_daemon() {
    local pid tries
    if pid=$(ours "$1" "$2"); then
        say "stopping $1, process $pid"
        kill "$pid"
        for ((tries = $3 * 10; tries > 0; tries--)); do
            [ -d "/proc/$pid" ] || break
            sleep 0.1
        done
        ! [ -d "/proc/$pid" ] || kill -KILL "$pid"
    fi
    rm --force "$RUN/$1.pid"
}

# wait_for SECONDS COMMAND…
wait_for() {
    local tries
    for ((tries = $1 * 10; tries > 0; tries--)); do
        ! "${@:2}" >/dev/null 2>&1 || return 0
        sleep 0.1
    done
    return 1
}

delete_state() {
    local mount
    # Deepest first; never delete through a mount.
    awk -v a="$STATE/" -v b="$RUN/" 'index($5, a) == 1 || index($5, b) == 1 { print $5 }' /proc/self/mountinfo |
        sort --reverse | while read -r mount; do
        umount --lazy "$mount" || true
    done
    rm --recursive --force --one-file-system "$STATE" "$RUN"
    say "deleted $STATE and $RUN"
}
