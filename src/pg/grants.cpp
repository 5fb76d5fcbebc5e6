#include "pg/grants.hpp"

#include <fmt/format.h>

namespace lockkeeper::pg {

std::string grant_script(const HistoryTable& table, const std::string& owner) {
  const std::string owner_name = owner.empty() ? "<owner of the tables>" : quote_identifier(owner);
  const std::string schema = quote_identifier(table.schema);
  std::string script =
      fmt::format(R"(-- Run as a role that may grant: the database's owner, or a superuser. Replace the names in <>.

-- The role that logs in to migrate: `lockkeeper up`, `down`, `baseline`, `repair`.
-- CREATE ROLE "lockkeeper_migrator" LOGIN PASSWORD '<password>';
GRANT CONNECT ON DATABASE <database> TO "lockkeeper_migrator";
-- Only the owner may ALTER or DROP a table: the role acts as the owner, with --role {0}.
GRANT {0} TO "lockkeeper_migrator";
GRANT USAGE, CREATE ON SCHEMA <application schema> TO {0};
CREATE SCHEMA IF NOT EXISTS {1} AUTHORIZATION {0};
-- Who blocks a migration, or holds its lock: to be shown state, client, age and query of sessions of other roles. The
-- watcher, a second connection, logs in like the first and inherits it:
GRANT pg_read_all_stats TO {0};

-- A role that only waits or looks: `lockkeeper wait` (init containers), `check`, `status`.
-- CREATE ROLE "lockkeeper_reader" LOGIN PASSWORD '<password>';
GRANT CONNECT ON DATABASE <database> TO "lockkeeper_reader";
GRANT USAGE ON SCHEMA {1} TO "lockkeeper_reader";
-- After the first `lockkeeper up` (or name the role under history_readers in lockkeeper.yaml, and `up` does it):
GRANT SELECT ON {2} TO "lockkeeper_reader";
)",
                  owner_name, schema, table.quoted());
  for (const std::string& reader : table.readers) {
    script += fmt::format("GRANT USAGE ON SCHEMA {0} TO {1};\nGRANT SELECT ON {2} TO {1};\n", schema,
                          quote_identifier(reader), table.quoted());
  }
  return script;
}

}  // namespace lockkeeper::pg
