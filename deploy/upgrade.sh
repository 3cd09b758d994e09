#!/bin/sh
# Bring what runs in containers to the code and the settings of this folder, while it goes on answering:
#
#   git pull && deploy/upgrade.sh
#
# Images are built and migrations run before anything stops. Then each container gets its successor beside it, and ends
# once that is healthy; when one does not become healthy it goes again, and its predecessor stays. Compose itself ends the
# old one first. A port of the host is published once, so a published gateway hands it over in a moment without answers;
# behind the edge of docker-compose.tls.yml there is none.
set -eu
cd "$(dirname "$0")/.."

WAIT_S=${WAIT_S:-180}

say() { echo "$*" >&2; }

ids() { docker compose ps -q "$1"; }

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
    docker logs --tail 20 "$2" >&2 || true
    docker rm -f "$2" >/dev/null
    say "$1: the new container did not become healthy (above). It is gone, the old one answers, and nothing after it was touched."
    exit 1
}

end() { docker stop "$1" >/dev/null && docker rm "$1" >/dev/null; }

# The id of one more container of a service, made of the new image and not started yet.
create() {
    before=$(docker compose ps -aq "$1")
    docker compose up --no-start --no-build --no-deps --no-recreate \
        --scale "$1=$(($(echo "$before" | wc -l) + 1))" "$1" >/dev/null 2>&1 || say "$1: no further container can be made."
    docker compose ps -aq "$1" | grep -vF "$before"
}

replace() {
    olds=$(ids "$1")
    if [ -z "$olds" ]; then
        docker compose up -d --no-build --no-deps "$1"
        return
    fi
    for old in $olds; do
        new=$(create "$1")
        docker start "$new" >/dev/null
        healthy "$new" || give_up "$1" "$new"
        end "$old"
    done
}

# A published gateway: its successor starts without the network `outside`, which is what publishes its port.
hand_over() {
    old=$1
    new=$(create gateway)
    outside=$(docker inspect -f '{{range $name, $_ := .NetworkSettings.Networks}}{{println $name}}{{end}}' "$old" | grep '_outside$')
    docker network disconnect "$outside" "$new"
    docker start "$new" >/dev/null
    healthy "$new" || give_up gateway "$new"
    docker network disconnect "$outside" "$old"
    docker network connect "$outside" "$new" || {
        docker network connect "$outside" "$old"
        give_up gateway "$new"
    }
    docker port "$new" | grep -q . || docker restart "$new" >/dev/null # an engine that publishes at a start alone
    end "$old"
}

say "Building"
docker compose build --quiet
say "Migrating; what runs goes on"
docker compose run --rm --no-deps keys
docker compose run --rm --no-deps migrate
for app in services/*/app.py; do
    service=$(basename "$(dirname "$app")")
    say "Replacing $service"
    replace "$service"
done
say "Replacing gateway"
gateway=$(ids gateway | head -n 1)
if [ -n "$gateway" ] && [ "$(docker inspect -f '{{len .HostConfig.PortBindings}}' "$gateway")" = 1 ]; then
    hand_over "$gateway"
else
    replace gateway
fi
say "Done"
