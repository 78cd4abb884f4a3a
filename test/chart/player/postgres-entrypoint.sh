# What the official image's docker-entrypoint.sh does with the variables that the chart sets: a new data folder, the
# scripts of /docker-entrypoint-initdb.d on a server that only a socket reaches, then the server itself.
set -eu
sockets=/var/run/postgresql
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  # shellcheck disable=SC2086 # several arguments
  initdb -D "$PGDATA" --username="$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" $POSTGRES_INITDB_ARGS
  printf '\nhost all all all scram-sha-256\n' >> "$PGDATA/pg_hba.conf"
  pg_ctl -D "$PGDATA" -w -o "$* -c listen_addresses='' -c unix_socket_directories=$sockets" start
  for script in /docker-entrypoint-initdb.d/*.sh; do
    PGHOST=$sockets LD_LIBRARY_PATH=/opt/libpq sh "$script"
  done
  pg_ctl -D "$PGDATA" -w -m fast stop
fi
exec postgres -D "$PGDATA" -c unix_socket_directories="$sockets" "$@"
