#include "milter/store_schema.h"

const char *const store_schema_steps[STORE_SCHEMA_VERSION] = {
    /* 0 -> 1: `held` is 1 for clients that would be missed; strikes are "TIME:WEIGHT ..." */
    "PRAGMA application_id = 1111769428;"
    "CREATE TABLE clients ("
    "    client TEXT PRIMARY KEY,"
    "    state TEXT NOT NULL,"
    "    last_verdict TEXT NOT NULL,"
    "    strikes TEXT NOT NULL,"
    "    reason TEXT NOT NULL,"
    "    held INTEGER NOT NULL,"
    "    seen INTEGER NOT NULL,"
    "    by_operator INTEGER NOT NULL,"
    "    since INTEGER NOT NULL,"
    "    until INTEGER NOT NULL,"
    "    hold INTEGER NOT NULL,"
    "    clean INTEGER NOT NULL,"
    "    bare_lf INTEGER NOT NULL,"
    "    data_failed INTEGER NOT NULL,"
    "    bdat_transfers INTEGER NOT NULL,"
    "    data_transfers INTEGER NOT NULL,"
    "    data_good INTEGER NOT NULL,"
    "    data_failures INTEGER NOT NULL"
    ") WITHOUT ROWID;"
    "CREATE TABLE incidents ("
    "    id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "    time INTEGER NOT NULL,"
    "    address BLOB NOT NULL,"
    "    verdict TEXT NOT NULL,"
    "    queue_id TEXT NOT NULL,"
    "    detail TEXT NOT NULL"
    ");"
    "CREATE INDEX incidents_by_time ON incidents (time);"
    "PRAGMA user_version = 1;",

    /* 1 -> 2: what is searched by */
    "CREATE INDEX clients_by_age ON clients (held, seen);"
    "CREATE INDEX incidents_by_address ON incidents (address, time);"
    "CREATE INDEX incidents_by_verdict ON incidents (verdict, time);"
    "CREATE INDEX incidents_by_queue_id ON incidents (queue_id);"
    "PRAGMA user_version = 2;",
};
