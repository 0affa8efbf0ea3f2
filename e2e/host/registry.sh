# shellcheck shell=bash
# Debian's docker-registry: plain HTTP on a loopback address, which engines take without being told.

registry_answers() { [ "$(curl --silent --max-time 5 --output /dev/null --write-out '%{http_code}' "http://$REGISTRY/v2/")" = 200 ]; }
port_is_taken() { (exec 3<>"/dev/tcp/${REGISTRY/://}") 2>/dev/null; }

run_registry() {
    mkdir -p "$STATE/registry"
    cat >"$STATE/registry.yml" <<YAML
version: 0.1
log: {level: info, accesslog: {disabled: true}}
storage:
  filesystem: {rootdirectory: $STATE/registry}
  delete: {enabled: true}
http: {addr: "$REGISTRY"}
YAML
    if has_systemd; then
        systemctl reset-failed esb-e2e-registry || true
        systemd-run --unit esb-e2e-registry docker-registry serve "$STATE/registry.yml"
    else
        start_daemon registry docker-registry serve "$STATE/registry.yml"
    fi
    wait_for 20 registry_answers && return 0
    has_systemd || tail --lines 20 "$STATE/log/registry.log"
    return 1
}

start_registry() {
    ! registry_answers || return 0
    need_root "start the registry on $REGISTRY"
    ! port_is_taken || fail "$REGISTRY answers, but not as an open registry; stop what listens there"
    step "starting the registry on $REGISTRY" run_registry
}

stop_registry() {
    ! has_systemd || systemctl stop esb-e2e-registry 2>/dev/null || true
    stop_daemon registry docker-registry 10
}
