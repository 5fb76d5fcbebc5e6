/// \file
/// `lockkeeper grants`: the GRANT script for the roles that Lockkeeper works with. Text only; nothing is executed.
#pragma once

#include <string>

#include "pg/history.hpp"

namespace lockkeeper::pg {

/// \p owner: whose tables are migrated (--role); empty = a placeholder.
std::string grant_script(const HistoryTable& table, const std::string& owner);

}  // namespace lockkeeper::pg
