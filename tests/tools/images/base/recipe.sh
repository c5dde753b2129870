# The base of both images: a static busybox with a link for each of its commands, and `as-child`. images.sh sources
# this file and the other recipes, and defines unpack.
# shellcheck shell=sh

busybox_root() {
    unpack busybox-static
    mkdir -p "$IMAGE/bin" "$IMAGE/etc" "$IMAGE/tmp" "$IMAGE/usr/local/bin" "$IMAGE/var/run" "$IMAGE/root"
    chmod 1777 "$IMAGE/tmp"
    cp -L "$(first_of "$DEBS/bin/busybox" "$DEBS/usr/bin/busybox")" "$IMAGE/bin/busybox"
    for applet in $("$IMAGE/bin/busybox" --list); do
        [ "$applet" = busybox ] || ln -s busybox "$IMAGE/bin/$applet"
    done
    install -m 0755 "$RECIPES/base/as-child" "$IMAGE/bin/as-child"
    printf 'root:x:0:0:root:/root:/bin/sh\n' >"$IMAGE/etc/passwd"
    printf 'root:x:0:\n' >"$IMAGE/etc/group"
}
