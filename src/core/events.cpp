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

}  // namespace lockkeeper::core
