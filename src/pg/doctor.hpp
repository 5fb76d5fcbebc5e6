/// \file
/// `lockkeeper doctor`: looks at the server with the eyes of a migration run, and changes nothing.
#pragma once

#include <string>
#include <vector>

#include "core/database.hpp"
#include "pg/connection.hpp"
#include "pg/history.hpp"
#include "util/error.hpp"

namespace lockkeeper::pg {

struct Examination {
  enum class Verdict { good, warning, bad };
  std::string subject;  ///< "encryption"
  Verdict verdict = Verdict::good;
  std::string found;                          ///< "TLSv1.3, TLS_AES_256_GCM_SHA384"
  std::string hint;                           ///< what to do; empty when good
  util::Outcome outcome = util::Outcome::ok;  ///< bad: the exit code that `up` would end with
};

/// \p snapshot: what core::Database::read() said on this connection.
std::vector<Examination> examine(Connection& connection, const HistoryTable& table, const core::Snapshot& snapshot,
                                 bool session_pooler);

/// The oldest server that is supported: 13.
inline constexpr int k_oldest_server = 130000;

}  // namespace lockkeeper::pg
