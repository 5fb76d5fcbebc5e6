#include "core/events.hpp"

#include <doctest/doctest.h>

using namespace lockkeeper::core;

TEST_CASE("whoever holds the lock is named as far as our role may see") {
  LockHolder holder{.pid = 4711};
  CHECK(to_string(holder) == "pid 4711");
  holder.application_name = "lockkeeper/0.1.0 up";
  CHECK(to_string(holder) == "pid 4711 (lockkeeper/0.1.0 up)");
  holder.session_age = std::chrono::seconds(72);
  CHECK(to_string(holder) == "pid 4711 (lockkeeper/0.1.0 up), connected for 1m12s");
  holder.user = "migrator";
  holder.client = "10.0.0.7";
  CHECK(to_string(holder) == "pid 4711 (lockkeeper/0.1.0 up), user migrator, connected for 1m12s, from 10.0.0.7");
}
