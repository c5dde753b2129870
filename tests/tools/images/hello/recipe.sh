# tally.local/hello:VERSION: a web server with one page that contains its version. Two versions are enough for a first
# rollout.
# shellcheck shell=sh disable=SC2034  # COMMAND and PORT are read by images.sh

hello_root() {
    busybox_root
    mkdir -p "$IMAGE/www"
    sed "s/VERSION/$1/" "$RECIPES/hello/index.html" >"$IMAGE/www/index.html"
    COMMAND='["as-child","httpd","-f","-p","8080","-h","/www"]'
    PORT=8080
}
