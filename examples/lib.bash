# Functions for the scripts in this folder.
URL=${URL:-http://localhost:5217}
answer=""

step() { printf '\n\033[1m%s\033[0m\n' "$1"; }

# call STATUS METHOD PATH [BODY] [ACCESS TOKEN]: send a request, show the answer, stop unless it has this status.
call() {
  local expected=$1 method=$2 path=$3 body=${4:-} token=${5:-} options=() got
  [ -z "$body" ] || options+=(--header 'Content-Type: application/json' --data "$body")
  [ -z "$token" ] || options+=(--header "Authorization: Bearer $token")
  answer=$(curl --silent --show-error --request "$method" "${options[@]}" --write-out '\n%{http_code}' "$URL$path")
  got=${answer##*$'\n'} answer=${answer%$'\n'*}
  printf '%s %s -> %s %s\n' "$method" "$path" "$got" "$answer"
  [ "$got" = "$expected" ] || { echo "expected $expected" >&2; exit 1; }
}

# member NAME: print one member of the last answer.
member() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]], end="")' "$1" <<<"$answer"; }
