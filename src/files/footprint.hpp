/// \file
/// What a statement outside a transaction will leave in the catalogs, told by its tokens. One reader for what the
/// parser knows and for what it does not: a newer server's syntax, or text too large for a tree.
#pragma once

#include <string_view>

#include "core/migration.hpp"

namespace lockkeeper::files {

/// \p sql: one statement that is to run outside a transaction; \p kind: its Statement::kind. Kind::unknown when nothing
/// is known that could be looked at. A create_index without an object.name is one that leaves the name to the server.
core::Footprint read_footprint(std::string_view sql, std::string_view kind);

}  // namespace lockkeeper::files
