#!/bin/bash
# Makes the databases and their users, when PostgreSQL starts on an empty volume.
set -euo pipefail

make() { # USER, VARIABLE of its password, DATABASE...
    psql --username=postgres --set=ON_ERROR_STOP=1 --set=name="$1" <<SQL
\getenv word $2
CREATE ROLE :"name" LOGIN PASSWORD :'word';
SQL
    local user="$1"
    shift 2
    for database in "$@"; do
        psql --username=postgres --set=ON_ERROR_STOP=1 --set=name="$user" --set=database="$database" <<'SQL'
CREATE DATABASE :"database" OWNER :"name" ENCODING 'UTF8' TEMPLATE template0;
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
SQL
    done
}

make searcher STUDIES_PASSWORD studies
make mlflow MLFLOW_DATABASE_PASSWORD mlflow mlflow_auth
