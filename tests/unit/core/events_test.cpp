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

TEST_CASE("whoever blocks a statement is named as far as our role may see") {
  Blocker blocker{.pid = 4711,
                  .application_name = "",
                  .backend_type = "",
                  .client = {},
                  .user = {},
                  .state = {},
                  .transaction_age = {},
                  .query = {}};
  CHECK(to_string(blocker) == "pid 4711");
  blocker.pid = 0;
  CHECK(to_string(blocker) == "a prepared transaction");
  blocker.pid = 4711;
  blocker.backend_type = "autovacuum worker";
  CHECK(to_string(blocker) == "pid 4711 (autovacuum worker)");
  blocker.application_name = "reports";
  CHECK(to_string(blocker) == "pid 4711 (reports, autovacuum worker)");
  blocker.backend_type = "client backend";
  CHECK(to_string(blocker) == "pid 4711 (reports)");
  blocker.transaction_age = std::chrono::minutes(12);
  CHECK(to_string(blocker) == "pid 4711 (reports), in a transaction for 12m");
  blocker.user = "app";
  blocker.client = "10.0.0.7";
  blocker.state = "idle in transaction";
  blocker.query = "SELECT 1";
  CHECK(to_string(blocker) == "pid 4711 (reports), user app, from 10.0.0.7, idle in transaction for 12m: SELECT 1");
  blocker.state = "active";
  CHECK(to_string(blocker) ==
        "pid 4711 (reports), user app, from 10.0.0.7, active, in a transaction for 12m: SELECT 1");
  blocker.transaction_age = std::chrono::seconds(0);
  CHECK(to_string(blocker) == "pid 4711 (reports), user app, from 10.0.0.7, active: SELECT 1");
}
