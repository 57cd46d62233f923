#!/bin/sh
# Run once, by PostgreSQL's image, when the volume is empty: the ledger's database, and a user who owns it and nothing else.
set -eu
psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
    -v password="$(cat /run/secrets/ledger_password)" <<'SQL'
CREATE ROLE recourse LOGIN PASSWORD :'password';
CREATE DATABASE recourse OWNER recourse ENCODING 'UTF8';
REVOKE CONNECT ON DATABASE recourse FROM PUBLIC;
SQL
