# shellcheck shell=bash
# The engine on /var/run/docker.sock. With systemd it is Debian's service. Without an init system this script starts
# containerd and dockerd itself, with everything they store in the state directory.

engine_answers() { docker --host unix:///var/run/docker.sock version --format '{{.Server.Version}}'; }
containerd_answers() { [ -S /run/containerd/containerd.sock ] && ctr --connect-timeout 2s version; }

run_engine() {
    if has_systemd; then
        systemctl enable --now containerd docker
    else
        if ! containerd_answers; then
            mkdir -p "$STATE/containerd"
            start_daemon containerd containerd --root "$STATE/containerd"
            wait_for 30 containerd_answers || { tail --lines 20 "$STATE/log/containerd.log" && return 1; }
        fi
        start_daemon dockerd dockerd --host unix:///var/run/docker.sock --data-root "$STATE/docker" \
            --exec-root "$RUN/docker" --pidfile "$RUN/docker/dockerd.pid" --containerd /run/containerd/containerd.sock
    fi
    wait_for 60 engine_answers && return 0
    has_systemd || tail --lines 20 "$STATE/log/dockerd.log"
    return 1
}

start_engine() {
    engine_answers >/dev/null 2>&1 && return 0
    need_root "start the container engine"
    mkdir -p "$RUN/docker"
    step "starting the container engine" run_engine
}

stop_engine() {
    local ours_runs=
    ! ours dockerd dockerd >/dev/null || ours_runs=yes
    # dockerd stops the containers first.
    stop_daemon dockerd dockerd 60
    stop_daemon containerd containerd 20
    [ -z "$ours_runs" ] || ip link delete docker0 2>/dev/null || true
}
