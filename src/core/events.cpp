#include "core/events.hpp"

#include <fmt/format.h>

#include "util/duration.hpp"

namespace lockkeeper::core {

std::string to_string(const LockHolder& holder) {
  std::string text = fmt::format("pid {}", holder.pid);
  if (!holder.application_name.empty()) {
    text += fmt::format(" ({})", holder.application_name);
  }
  if (holder.user) {
    text += fmt::format(", user {}", *holder.user);
  }
  if (holder.session_age) {
    text += fmt::format(", connected for {}", util::to_string(util::Duration(*holder.session_age)));
  }
  if (holder.client) {
    text += fmt::format(", from {}", *holder.client);
  }
  return text;
}

namespace {

/// "reports", "autovacuum worker", "reports, parallel worker": an ordinary session is known by its name alone.
std::string who(const Blocker& blocker) {
  const bool ordinary = blocker.backend_type.empty() || blocker.backend_type == "client backend";
  if (ordinary || blocker.application_name.empty()) {
    return ordinary ? blocker.application_name : blocker.backend_type;
  }
  return fmt::format("{}, {}", blocker.application_name, blocker.backend_type);
}

/// "idle in transaction for 12m", "active, in a transaction for 12m". A transaction's age is the age of the state only
/// where the state is about the transaction.
std::string doing(const Blocker& blocker) {
  const bool aged = blocker.transaction_age && blocker.transaction_age->count() > 0;
  const std::string age = aged ? "for " + util::to_string(util::Duration(*blocker.transaction_age)) : std::string();
  if (!blocker.state) {
    return aged ? "in a transaction " + age : std::string();
  }
  if (!aged) {
    return *blocker.state;
  }
  const bool about_transaction = blocker.state->starts_with("idle in transaction");
  return fmt::format("{}{}{}", *blocker.state, about_transaction ? " " : ", in a transaction ", age);
}

}  // namespace

std::string to_string(const Blocker& blocker) {
  if (blocker.pid == 0) {
    return "a prepared transaction";  // the server has no session for it, so nothing else is known
  }
  std::string text = fmt::format("pid {}", blocker.pid);
  if (const std::string name = who(blocker); !name.empty()) {
    text += fmt::format(" ({})", name);
  }
  if (blocker.user) {
    text += fmt::format(", user {}", *blocker.user);
  }
  if (blocker.client) {
    text += fmt::format(", from {}", *blocker.client);
  }
  if (const std::string state = doing(blocker); !state.empty()) {
    text += ", " + state;
  }
  if (blocker.query && !blocker.query->empty()) {
    text += ": " + *blocker.query;
  }
  return text;
}

}  // namespace lockkeeper::core
