#!/usr/bin/env bash
# Reshape the face in a photo with Perfect Corp: ./perfectcorp.sh PICTURE [FOLDER]
#
# Writes reshaped.jpg, or reshaped.png. Needs bash 3.2, curl 7.58 and jq 1.6.
set -euo pipefail

base_url=${PERFECTCORP_URL:-https://yce-api-01.makeupar.com}
tasks=/s2s/v2.0/task/face-reshape
# What to change, from -100 to 100. Features that are not listed stay as they are.
features='{"eye_size": 60, "face_width": -50, "lip_size": 40}'
poll_seconds=1
deadline_seconds=120

die() {
  echo "error: $*" >&2
  exit 1
}

# Write the body of a response to $work/answer, and its status to $status: fetch CURL-OPTIONS...
fetch() {
  status=$(curl -sS --connect-timeout 10 --max-time 60 -o "$work/answer" -w '%{http_code}' "$@") || exit 1
}

# End with the error in $work/answer, unless $status reports success.
check() {
  local message
  [ "$status" != 200 ] || return 0
  # The store's errors are XML.
  message=$(jq -r '.error // empty' "$work/answer" 2>/dev/null) \
    || message=$(sed -n 's:.*<Message>\([^<]*\)</Message>.*:\1:p' "$work/answer")
  [ -z "$message" ] && die "HTTP $status" || die "$message (HTTP $status)"
}

# Call the API, and write the member "data" of the response to $work/data: call METHOD PATH [JSON]
call() {
  local wait options
  options=(-X "$1" -H "Authorization: Bearer $PERFECTCORP_KEY")
  [ $# -lt 3 ] || options+=(-H 'Content-Type: application/json' -d "$3")
  # The numbers are the seconds to wait before each retry, if the rate limit is exceeded.
  for wait in 1 2 4 8 ""; do
    fetch "${options[@]}" "$base_url$2"
    [ "$status" = 429 ] && [ -n "$wait" ] || break
    sleep "$wait"
  done
  check
  jq -e .data "$work/answer" >"$work/data" 2>/dev/null || die "the response is incomplete"
}

# Print a member of $work/data: data JQ-FILTER
data() { jq -r "$1" "$work/data"; }

if [ $# -lt 1 ] || [ $# -gt 2 ] || [ -z "${PERFECTCORP_KEY:-}" ]; then
  echo "usage: $0 PICTURE [FOLDER]" >&2
  echo "Set the environment variable PERFECTCORP_KEY." >&2
  exit 2
fi
picture=$1 folder=${2:-.}
[ -r "$picture" ] || die "$picture cannot be read"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Register the picture.
case $picture in
  *.[pP][nN][gG]) type=image/png ;;
  *) type=image/jpg ;;
esac
call POST /s2s/v2.0/file "$(jq -n --arg type "$type" --arg name "${picture##*/}" \
  --argjson size "$(wc -c <"$picture")" '{files: [{content_type: $type, file_name: $name, file_size: $size}]}')"
file_id=$(data '.files[0].file_id')

# Upload it. The URL is signed. With an Authorization header, the store would refuse the request.
data '.files[0].requests[0].headers | to_entries[] | "\(.key): \(.value)"' >"$work/headers"
fetch -X "$(data '.files[0].requests[0].method')" -H "@$work/headers" --data-binary "@$picture" \
  "$(data '.files[0].requests[0].url')"
check

# Start a task.
call POST "$tasks" "$(jq -n --arg id "$file_id" --argjson features "$features" \
  '{version: "1.0", src_file_id: $id, features: $features, global: {}}')"
task_id=$(data .task_id)

# Poll it until it is finished.
deadline=$((SECONDS + deadline_seconds))
while call GET "$tasks/$task_id" && [ "$(data .task_status)" = running ]; do
  [ "$SECONDS" -lt "$deadline" ] || die "the task $task_id still runs after $deadline_seconds seconds"
  sleep "$poll_seconds"
done
[ "$(data .task_status)" = success ] || die "$(data '[.error, .error_message | strings] | join(": ")')"

# Download the result.
url=$(data .results.url)
fetch "$url"
check
mkdir -p "$folder"
path=${url%%\?*}
result=$folder/reshaped.${path##*.}
cp "$work/answer" "$result"
echo "$result"
