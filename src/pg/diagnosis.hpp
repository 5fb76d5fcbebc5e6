/// \file
/// From a server error to one that a person can act on: the place in the file, and the GRANT or the step that is
/// missing.
#pragma once

#include <optional>
#include <string>

#include "core/database.hpp"
#include "pg/connection.hpp"

namespace lockkeeper::pg {

/// What a permission error is about, read from the server's message; nullopt when it is in another language or of
/// another form.
struct Denied {
  std::string kind;  ///< "schema", "table", "database", "sequence", "function", ...
  std::string name;
  bool must_be_owner = false;
};
std::optional<Denied> parse_denied(const std::string& message);

/// The GRANT that is missing. \p owner: of the object, when \p denied.must_be_owner and it is known.
std::string permission_hint(const Denied& denied, const std::string& user, const std::string& owner);

/// Turns refused statements into errors; asks the server for an owner's name where that helps.
class Diagnosis {
 public:
  explicit Diagnosis(Connection& connection) : m_connection(connection) {}
  void set_user(std::string user) { m_user = std::move(user); }

  /// \throws when \p result failed: "what: the server's message", with the missing GRANT; a lost lock as such
  void throw_if_failed(const Result& result, std::string_view what) const;
  [[noreturn]] void throw_error(const ServerError& error, std::string_view what) const;
  /// For a statement of a script: with its place in the file. \throws Error{connection_lost} when the lock is lost
  [[nodiscard]] core::SqlFailure failure(const core::Attempt& attempt, const core::Statement& statement,
                                         const ServerError& error) const;

 private:
  void add_permission_hint(util::ErrorInfo& info, const ServerError& error) const;
  [[nodiscard]] std::string find_owner(const std::string& relation) const;

  Connection& m_connection;
  std::string m_user;
};

}  // namespace lockkeeper::pg
