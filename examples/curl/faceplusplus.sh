#!/usr/bin/env bash
# Reconstruct a head from a photo with Face++: ./faceplusplus.sh PICTURE [FOLDER]
#
# Writes face.obj, face.mtl and tex.jpg. Needs bash 3.2, curl 7.58 and jq 1.6.
set -euo pipefail

base_url=${FACEPLUSPLUS_URL:-https://api-us.faceplusplus.com}

die() {
  echo "error: $*" >&2
  exit 1
}

if [ $# -lt 1 ] || [ $# -gt 2 ] \
  || [ -z "${FACEPLUSPLUS_API_KEY:-}" ] || [ -z "${FACEPLUSPLUS_API_SECRET:-}" ]; then
  echo "usage: $0 PICTURE [FOLDER]" >&2
  echo "Set the environment variables FACEPLUSPLUS_API_KEY and FACEPLUSPLUS_API_SECRET." >&2
  exit 2
fi
picture=$1 folder=${2:-.}
[ -r "$picture" ] || die "$picture cannot be read"

answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

# The numbers are the seconds to wait before each retry.
for wait in 1 2 4 8 ""; do
  # curl reads the picture from its input, so that any file name is possible.
  status=$(curl -sS --connect-timeout 10 --max-time 60 -o "$answer" -w '%{http_code}' \
    --form-string "api_key=$FACEPLUSPLUS_API_KEY" --form-string "api_secret=$FACEPLUSPLUS_API_SECRET" \
    -F texture=1 -F mtl=1 -F 'image_file_1=@-;filename=photo.jpg;type=image/jpeg' \
    "$base_url/facepp/v1/3dface" <"$picture") || exit 1
  [ "$status" != 200 ] || break
  # Some errors, such as 413, are not JSON.
  message=$(jq -r '.error_message // empty' "$answer" 2>/dev/null) || message=
  # After these errors, Face++ accepts the same request later.
  case "$wait $message" in
    [0-9]*" CONCURRENCY_LIMIT_EXCEEDED" | [0-9]*" INTERNAL_ERROR") sleep "$wait" ;;
    *) [ -z "$message" ] && die "HTTP $status" || die "$message (HTTP $status)" ;;
  esac
done
jq -e .obj_file "$answer" >/dev/null 2>&1 || die "the response is incomplete"

mkdir -p "$folder"
# The OBJ refers to the MTL by this name, and the MTL to the JPEG.
jq -r .obj_file "$answer" | base64 --decode >"$folder/face.obj"
jq -r .mtl_file "$answer" | base64 --decode >"$folder/face.mtl"
jq -r .texture_img "$answer" | base64 --decode >"$folder/tex.jpg"
printf '%s\n' "$folder/face.obj" "$folder/face.mtl" "$folder/tex.jpg"
