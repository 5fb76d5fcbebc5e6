/// \file
/// What a statement would leave in the session when its transaction is over: a setting, a temporary table, a session
/// advisory lock. Behind a pooler in transaction mode that would hit whoever gets the server connection next.
///
/// Told by tokens, and rather too often than too rarely. What cannot be seen: what functions, procedures, triggers and
/// EXECUTE do inside, and what a DO block does other than calling set_config() or taking an advisory lock.
#pragma once

#include <string>
#include <string_view>

namespace lockkeeper::files {

/// "SET", "a temporary table"; empty = nothing that can be seen. \p kind: Statement::kind.
std::string session_effect(std::string_view sql, std::string_view kind);

}  // namespace lockkeeper::files
