/// \file
/// What PostgreSQL's grammar, or failing that the tokens, tell about one statement: its kind, whether it may run in a
/// transaction, what it destroys. Not for: splitting (statements.hpp).
#pragma once

#include <string>

#include "core/migration.hpp"

namespace lockkeeper::files {

/// \p sql: one statement without its semicolon. \p known: the parser understands it. Positions are not filled.
core::Statement describe(const std::string& sql, bool known);

}  // namespace lockkeeper::files
