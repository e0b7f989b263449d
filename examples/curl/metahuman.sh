#!/usr/bin/env bash
# Describe a head in a photo with MetaHuman SDK: ./metahuman.sh PICTURE [FOLDER]
#
# Writes metahuman.json, with 80 shape coefficients and the attributes, and texture.png. Needs bash 3.2,
# curl 7.58 and jq 1.6.
set -euo pipefail

base_url=${METAHUMAN_URL:-https://api.metahumansdk.io}

die() {
  echo "error: $*" >&2
  exit 1
}

# Write the response to $answer: fetch CURL-OPTIONS...
fetch() {
  local status message
  status=$(curl -sS --connect-timeout 10 --max-time 60 -o "$answer" -w '%{http_code}' "$@") || exit 1
  [ "$status" != 200 ] || return 0
  # An error of a proxy is not JSON.
  message=$(jq -r '.error | objects | "\(.message) (code \(.code), "' "$answer" 2>/dev/null) || message=
  [ -z "$message" ] && die "HTTP $status" || die "${message}HTTP $status)"
}

if [ $# -lt 1 ] || [ $# -gt 2 ] || [ -z "${METAHUMAN_TOKEN:-}" ]; then
  echo "usage: $0 PICTURE [FOLDER]" >&2
  echo "Set the environment variable METAHUMAN_TOKEN." >&2
  exit 2
fi
picture=$1 folder=${2:-.}
[ -r "$picture" ] || die "$picture cannot be read"

answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

# curl reads the picture from its input, so that any file name is possible.
fetch --form-string "token=$METAHUMAN_TOKEN" -F 'image_bytes=@-;filename=photo' \
  "$base_url/face_recon/run_pipeline" <"$picture"
texture=$(jq -er .result.face.textureUrl "$answer" 2>/dev/null) || die "the response is incomplete"
mkdir -p "$folder"
cp "$answer" "$folder/metahuman.json"

# The response has only the path of the texture.
fetch "$base_url$texture"
cp "$answer" "$folder/texture.png"
printf '%s\n' "$folder/metahuman.json" "$folder/texture.png"
