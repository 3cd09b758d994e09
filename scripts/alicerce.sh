#!/usr/bin/env bash
# The platform in the background, by one command: a thin layer over `python -m alicerce` and the Makefile.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat <<'EOF'
Usage: scripts/alicerce.sh COMMAND [SERVICE] [--env development|test|staging|production]

  start              start everything in the background, wait until it is ready, print its address
  stop               end it
  restart [SERVICE]  start the web processes anew without refusing a request
  status             show processes, ports, state and memory
  logs [SERVICE]     show the log and follow it
  dev [SERVICE]      stay in the foreground and start anew what changes in the source tree
  test [SERVICE]     run all tests, or those that name the service
EOF
}

fail() {
  echo "$1" >&2
  exit 2
}

words=()
while (($#)); do
  case $1 in
    --env) ENV=${2:-}; shift ;;
    --env=*) ENV=${1#--env=} ;;
    -h | --help) usage; exit 0 ;;
    -*) fail "There is no option $1: see scripts/alicerce.sh --help" ;;
    *) words+=("$1") ;;
  esac
  shift || fail "Say which environment: --env development, test, staging or production"
done

if [[ -v ENV ]]; then
  case $ENV in
    dev) ENV=development ;;
    prod) ENV=production ;;
    development | test | staging | production) ;;
    *) fail "There is no environment '$ENV': use development, test, staging or production" ;;
  esac
  export ENV
fi

command=${words[0]:-}
service=${words[1]:-}
service=${service%[-_]service}
((${#words[@]} <= 2)) || fail "One command and one service at a time: see scripts/alicerce.sh --help"

case $command in
  start | stop | status) [[ -z $service ]] || fail "$command is for all services at once" ;;
  restart | logs | dev) ;;
  test) exec make --silent test PYTEST_ARGS="${service:+-k $service}" ;;
  *) usage >&2; exit 2 ;;
esac

make --silent .venv/run.stamp
exec .venv/bin/python -m alicerce "$command" ${service:+"$service"}
