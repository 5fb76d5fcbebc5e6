/// \file
/// The migrations directory: listed, ordered, read and hashed; then, for the migrations that need it, parsed whole.
///
/// scan() needs no database and finds every problem of names, structure and duplicates. parse() reads migration.yaml
/// and splits the scripts. Both report all problems together in one Error. Neither writes anything.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/migration.hpp"

namespace lockkeeper::files {

/// All migrations below \p directory, ordered by version: names, texts and checksums; nothing is parsed.
/// Reads Kubernetes volumes right: entries that start with ".." are skipped, symbolic links are followed.
/// \throws Error{migration_files} when the directory is missing, unreadable or empty, or anything in it is wrong
std::vector<core::Migration> scan(const std::string& directory);

/// Reads migration.yaml and splits up.sql and down.sql of \p migrations that are not parsed yet.
/// \throws Error{migration_files} listing every problem of all of them
void parse(std::span<core::Migration* const> migrations);

}  // namespace lockkeeper::files
