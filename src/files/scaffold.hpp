/// \file
/// `lockkeeper new NAME`: a new migration directory with commented templates. The only writer in files/.
#pragma once

#include <string>
#include <string_view>

#include "util/clock.hpp"

namespace lockkeeper::files {

/// Creates DIRECTORY/<UTC yyyymmddhhmmss>_<name>/ with up.sql, down.sql and migration.yaml; returns its path. The
/// version is later than every version that is there.
/// \throws Error{usage}            \p name has no letter or digit left after normalising (spaces and dashes become _)
/// \throws Error{migration_files}  it exists already or cannot be written
std::string create_migration(const std::string& directory, std::string_view name, util::WallTime now);

}  // namespace lockkeeper::files
