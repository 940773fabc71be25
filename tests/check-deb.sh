#!/bin/bash
# check-deb.sh PACKAGE: installs it, serves as its service would, removes it, and looks whether the ledger is left.
#
# As root. All happens in a copy of this machine's root (an overlay over it, in a mount namespace of its own), which is
# gone afterwards. Where systemd does not run, its part is done by hand: the user of sysusers.d is made, the service's
# command is run as that user with its environment file.
set -euo pipefail
package=$(realpath "$1")
if [ "${2:-}" != inside ]; then
    [ "$(id -u)" -eq 0 ] || { echo "check-deb: run it as root" >&2; exit 1; }
    exec unshare --mount --pid --fork --kill-child "$0" "$package" inside
fi

work=$(mktemp -d)
trap 'umount --recursive --lazy "$work"; rmdir "$work"' EXIT
mount -t tmpfs tmpfs "$work"
mkdir "$work/upper" "$work/work" "$work/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/work" "$work/root"
root=$work/root
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/tmp"
mount -t tmpfs tmpfs "$root/dev"
for device in null zero urandom random; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
cp "$package" "$root/root/talea.deb"

fail() { echo "check-deb: $*" >&2; exit 1; }
in_root=(chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root)
inside() { "${in_root[@]}" "$@"; }
say() { echo "check-deb: $*"; }

# The service's command, as its user, with its environment file; the port is one of its own.
bind=127.0.0.1:$((20000 + RANDOM % 20000))
serve() {
    "${in_root[@]}" bash -c "set -a; . /etc/talea/talead.env; TALEA_BIND=$bind; cd / &&
        exec setpriv --reuid talea --regid talea --clear-groups $(service_command)" &
    server=$!
    for _ in $(seq 200); do
        curl -fs -o /dev/null "http://$bind/health" && return
        kill -0 $server 2>/dev/null || break
        sleep 0.05
    done
    fail "talead does not answer"
}
service_command() { sed -n 's/^ExecStart=//p' "$root/lib/systemd/system/talead.service"; }
stop() {
    kill -TERM $server
    wait $server || fail "talead did not stop in order"
}
client() { inside TALEA_TOKEN="${token#*TALEA_API_TOKEN=}" TALEA_URL="http://$bind" talea "$@"; }
balance() { client balance --book shop --path cash; }
ledger_is_there() { ls "$root"/var/lib/talea/log/segment-*.log >/dev/null || fail "$1 took the ledger"; }

say "install"
inside dpkg -i /root/talea.deb >/dev/null
inside getent passwd talea >/dev/null || fail "there is no user talea"
inside test -L /etc/systemd/system/multi-user.target.wants/talead.service || fail "the service is not enabled"
inside test -e /etc/systemd/system/sockets.target.wants/talead.socket && fail "the socket is enabled"
[ "$(stat -c '%a %U' "$root/etc/talea/talead.env")" = "600 root" ] || fail "others may read the token"
inside test -f /usr/share/doc/talea/examples/go/main.go || fail "the examples are missing, or packed"
token=$(cat "$root/etc/talea/talead.env")

say "serve, post"
install -d -m 700 "$root/var/lib/talea" # StateDirectory=
inside chown talea:talea /var/lib/talea
serve
client asset register --id USD --class fiat --precision 2 --name Dollar
client account open --book shop --path cash --asset USD --kind asset --normal-side debit
client account open --book shop --path sales --asset USD --kind income --normal-side credit
client post --book shop --idem k --debit cash:USD:5 --credit sales:USD:5 >/dev/null
before=$(balance)
curl -s "http://$bind/v1/books/shop/trial-balance" | grep -q unauthorized || fail "it serves without a token"
stop

say "install again: the same token, the same ledger"
inside dpkg -i /root/talea.deb >/dev/null
[ "$(cat "$root/etc/talea/talead.env")" = "$token" ] || fail "the token changed"
serve
[ "$(balance)" = "$before" ] || fail "the balance is $(balance), it was $before"
stop

say "remove, purge"
inside dpkg -r talea >/dev/null
inside test ! -e /usr/sbin/talead || fail "talead is still there"
ledger_is_there "dpkg -r"
inside dpkg -P talea >/dev/null 2>&1
inside test ! -e /etc/talea/talead.env || fail "purge leaves the token"
ledger_is_there "dpkg -P"
[ "$(stat -c %a "$root/var/lib/talea")" = 700 ] || fail "the ledger's mode changed"

say "install after the purge: the ledger is served again"
inside dpkg -i /root/talea.deb >/dev/null
token=$(cat "$root/etc/talea/talead.env")
serve
[ "$(balance)" = "$before" ] || fail "the balance is $(balance), it was $before"
stop
say "passed"
