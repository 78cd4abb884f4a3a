# Makes the file system of a container and becomes its first process. Arguments: ROOT UID GID FSGROUP, then what
# `env -i` takes: options, NAME=VALUE, command. MOUNTS names a file of lines `SOURCE TARGET ro|rw`, in order.
# It runs in mount and pid namespaces of its own: nothing of it is seen outside.
set -eu
root=$1 uid=$2 gid=$3 fs_group=$4
shift 4
mount -t tmpfs -o mode=0755,size=16m tmpfs "$root"
mkdir -p "$root/usr" "$root/proc" "$root/dev" "$root/etc" "$root/tmp" "$root/run" "$root/var"
mount --bind -o ro /usr "$root/usr"
for link in bin sbin lib lib64; do
  if [ -e "/$link" ]; then ln -s "usr/$link" "$root/$link"; fi
done
for file in ld.so.cache nsswitch.conf alternatives; do
  if [ -e "/etc/$file" ]; then cp -a "/etc/$file" "$root/etc/"; fi
done
printf 'root:x:0:0::/root:/bin/sh\nnode:x:1000:1000::/tmp:/bin/sh\nstore:x:999:999::/tmp:/bin/sh\n' > "$root/etc/passwd"
printf 'root:x:0:\nnode:x:1000:\nstore:x:999:\n' > "$root/etc/group"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
while read -r source target mode; do
  if [ -d "$source" ]; then mkdir -p "$root$target"; else mkdir -p "$(dirname "$root$target")" && touch "$root$target"; fi
  mount --bind "$source" "$root$target"
  if [ "$mode" = ro ]; then mount -o remount,bind,ro "$root$target"; fi
done < "$MOUNTS"
mount -o remount,ro "$root"
groups=$gid
if [ "$fs_group" != - ]; then groups=$gid,$fs_group; fi
exec chroot "$root" setpriv --reuid "$uid" --regid "$gid" --groups "$groups" --no-new-privs --bounding-set=-all \
  env -i "$@"
