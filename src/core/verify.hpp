/// \file
/// Which expectations are in force: an expectation holds until a later migration states something about the same
/// object.
#pragma once

#include <span>
#include <vector>

#include "core/history.hpp"
#include "core/migration.hpp"

namespace lockkeeper::core {

struct InForce {
  Expectation expectation;
  Version version;  ///< the migration that states it
};

/// Of the migrations in \p files that \p history has as applied, in order of version. A table that is stated to be
/// absent takes the columns, constraints and indexes on it along. The files must be parsed.
std::vector<InForce> expectations_in_force(std::span<const Migration> files, const History& history);

}  // namespace lockkeeper::core
