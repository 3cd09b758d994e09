#!/bin/sh
# Bring what runs in containers to the code and the settings of this folder, while it goes on answering:
#
#   git pull && deploy/upgrade.sh
#
# Images are built and migrations run before anything stops. Then each container gets its successor beside it, and ends
# once that is healthy; when one does not become healthy it goes again, and its predecessor stays. Compose itself ends the
# old one first. A port of the host is published once, so a published gateway hands it over in a moment without answers;
# behind the edge of docker-compose.tls.yml there is none.
#
# However it ends, also by Ctrl-C, no unfinished successor stays and the port is published. WAIT_S is how many seconds a
# successor may take to become healthy.
set -eu
cd "$(dirname "$0")/.."

WAIT_S=${WAIT_S:-180}
service='' before='' # while a successor of this service is unfinished, and the containers that were there before it
old='' outside=''    # while the gateway's port is in nobody's hands
spent=''             # a container that is ending, because its successor has taken over

say() { echo "$*" >&2; }

ids() { docker compose ps -q "$1"; }

successors() { docker compose ps -aq "$service" | grep -vxF "$before"; }

end() { docker stop "$1" >/dev/null && docker rm "$1" >/dev/null; }

undo() {
    status=$?
    trap '' INT TERM HUP # a second Ctrl-C does not stop this
    trap - EXIT
    if [ -n "$service" ]; then
        for one in $(successors); do
            docker rm -f "$one" >/dev/null || say "$service: an unfinished container is left. Remove it: docker rm -f $one"
        done
    fi
    if [ -n "$outside" ]; then
        attached "$old" || open "$old" ||
            say "gateway: the old one is not published again. Do it: docker network connect $outside $old; docker restart $old"
    fi
    if [ -n "$spent" ]; then
        end "$spent" || say "An old container is left. Remove it: docker rm -f $spent"
    fi
    exit "$status"
}
trap undo EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

healthy() {
    left=$WAIT_S
    while [ "$left" -gt 0 ]; do
        case "$(docker inspect -f '{{.State.Status}} {{.State.Health.Status}}' "$1")" in
            "running healthy") return 0 ;;
            "running "*) ;;
            *) return 1 ;;
        esac
        sleep 1
        left=$((left - 1))
    done
    return 1
}

give_up() {
    docker logs --tail 20 "$new" >&2 || true
    say "$service: the new container $1 (above). It goes, the old one answers, and nothing after it was touched."
    exit 1
}

# `new` becomes the id of one more container of a service, made of the new image and not started yet.
create() {
    before=$(docker compose ps -aq "$1")
    service=$1
    count=$(($(echo "$before" | wc -l) + 1))
    if said=$(docker compose up --no-start --no-build --no-deps --no-recreate --scale "$1=$count" "$1" 2>&1); then
        new=$(successors) && return
    fi
    say "$said"
    say "$1: no further container can be made (above)."
    exit 1
}

start() {
    docker start "$new" >/dev/null || give_up "did not start"
    healthy "$new" || give_up "did not become healthy"
}

take_over() {
    spent=$1 service='' outside=''
    end "$1"
    spent=''
}

replace() {
    olds=$(ids "$1")
    if [ -z "$olds" ]; then
        docker compose up -d --no-build --no-deps "$1"
        return
    fi
    for one in $olds; do
        create "$1"
        start
        take_over "$one"
    done
}

# The name of a gateway's network `outside`, which compose's files may have set.
network() {
    project=$(docker inspect -f '{{index .Config.Labels "com.docker.compose.project"}}' "$1")
    docker network ls --format '{{.Name}}' --filter "label=com.docker.compose.project=$project" \
        --filter label=com.docker.compose.network=outside
}

attached() { docker inspect -f '{{range $name, $_ := .NetworkSettings.Networks}}{{println $name}}{{end}}' "$1" | grep -qxF "$outside"; }

# Publish a gateway's port, also on an engine that publishes at a start alone.
open() {
    docker network connect "$outside" "$1" || return 1
    docker port "$1" | grep -q . && return
    docker restart "$1" >/dev/null && healthy "$1"
}

# A published gateway: its successor starts without the network `outside`, which is what publishes its port.
hand_over() {
    found=$(network "$1")
    [ -n "$found" ] || {
        say "gateway: compose did not make its network \`outside\`, so it cannot hand its port over. Do: docker compose up -d gateway"
        exit 1
    }
    create gateway
    docker network disconnect "$found" "$new"
    start
    old=$1 outside=$found
    docker network disconnect "$outside" "$old"
    open "$new" || give_up "could not be published"
    take_over "$old"
}

say "Building"
docker compose --profile backup build --quiet
say "Migrating; what runs goes on"
docker compose run --rm --no-deps keys
docker compose run --rm --no-deps migrate
for app in services/*/app.py; do
    name=$(basename "$(dirname "$app")")
    say "Replacing $name"
    replace "$name"
done
say "Replacing gateway"
gateway=$(ids gateway | head -n 1)
if [ -n "$gateway" ] && [ "$(docker inspect -f '{{len .HostConfig.PortBindings}}' "$gateway")" = 1 ]; then
    hand_over "$gateway"
else
    replace gateway
fi
say "Done"
