/// \file
/// Getting a connection when the server, its roles or the secret may be late, as on a fresh install.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/events.hpp"
#include "pg/connection.hpp"
#include "util/clock.hpp"

namespace lockkeeper::pg {

struct ConnectLimits {
  util::Duration wait{0};       ///< for a server that cannot be reached or is starting; zero = try once
  util::Duration attempt{0};    ///< one host, once
  util::Duration auth_wait{0};  ///< for a role, password, database or secret file that is not there yet
};

struct ConnectRequest {
  std::function<Address()> read_address;  ///< called for each attempt: files are read again
  bool source_may_change = false;         ///< a file: its errors are retried for auth_wait
  ConnectLimits limits;
  util::Deadline deadline;  ///< of the whole run
};

/// Tries until it works or the limits are over; tells each retry to \p observer. Several hosts are tried in order, each
/// with the attempt's own limit, as libpq does when it blocks.
/// \throws Error{unreachable}, Error{permission}, Error{config}, what read_address throws,
/// Error{interrupted|terminated}
Connection connect(const ConnectRequest& request, util::Clock& clock, core::Observer& observer);

/// libpq's version, as it says itself at run time: "17.11".
std::string libpq_version();

/// The parts of a multi-host address. One that names one host (or none) is returned as it is.
std::vector<Address> split_hosts(const Address& address);

}  // namespace lockkeeper::pg
