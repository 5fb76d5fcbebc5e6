#include "pg/comment.hpp"

#include <doctest/doctest.h>

namespace lockkeeper::pg {

TEST_CASE("the comment names program, migration, trace and version, in sqlcommenter's order") {
  CHECK(statement_comment("0.1.0", "20250520000000", "") ==
        "\n/*application='lockkeeper',migration='20250520000000',version='0.1.0'*/");
  CHECK(statement_comment("0.1.0", "1", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01") ==
        "\n/*application='lockkeeper',migration='1',"
        "traceparent='00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',version='0.1.0'*/");
  CHECK(statement_comment("0.1.0", "1", "").starts_with(k_comment_begin));
}

TEST_CASE("nothing in a value can end the comment") {
  CHECK(statement_comment("1'*/ DROP TABLE t; /*", "1", "")
            .find("version='1%27%2A%2F%20DROP%20TABLE%20t%3B%20%2F%2A'*/") != std::string::npos);
}

}  // namespace lockkeeper::pg
