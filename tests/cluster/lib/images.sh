# shellcheck shell=bash disable=SC2154,SC2034 # the parts share their variables
# Images: nothing is pulled. Each image is kept as a file in the state folder and read by every node when it starts or when the image is new.

pause_image=localhost/mudgateway-pause:1

make_pause_image() {
  local container
  gcc -static -Os -o "$state/init" "$here/lib/init.c"
  if ! buildah inspect --type image "$pause_image" >/dev/null 2>&1; then
    container=$(buildah from scratch)
    buildah copy -q "$container" "$state/init" /pause >/dev/null
    buildah config --entrypoint '["/pause"]' --user 65535 "$container"
    buildah commit -q "$container" "$pause_image" >/dev/null
    buildah rm "$container" >/dev/null
  fi
  save_image "$pause_image"
}

image_file() { echo "$state/images/$(tr '/:@' '___' <<<"$1").tar"; }

# save_image NAME: from the store of buildah, else from Docker. The file appears whole or not at all, as a node may start at any time.
save_image() {
  local file
  file=$(image_file "$1")
  rm -f "$file.part"
  if buildah inspect --type image "$1" >/dev/null 2>&1; then
    buildah push -q "$1" "docker-archive:$file.part:$1" >/dev/null
  elif docker image inspect "$1" >/dev/null 2>&1; then
    docker save -o "$file.part" "$1"
  else
    die "this machine has no image '$1'; 'buildah images' lists those there are"
  fi
  mv "$file.part" "$file"
}
full_name() { # as the kubelet will spell it
  local name=$1
  [[ $name == */* ]] || name=localhost/$name
  [[ ${name##*/} == *[:@]* ]] || name+=:latest
  echo "$name"
}

import_images() { # N [FILE...]: all files when none is named
  local n=$1 file
  shift
  (($#)) || set -- "$state"/images/*.tar
  for file in "$@"; do in_node "$n" ctr -n k8s.io images import "$file" >/dev/null; done
}
