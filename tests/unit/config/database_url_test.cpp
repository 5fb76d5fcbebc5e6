#include "config/database_url.hpp"

#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "unit/config/helpers.hpp"

using namespace lockkeeper;
using namespace lockkeeper::config;
using namespace lockkeeper::config::test;

namespace {

DatabaseAddress parse(const std::string& text) {
  return parse_database_url(text, "environment variable DATABASE_URL");
}

/// Parameters in order, then the password in <>: what the tables below expect.
std::string summary(const DatabaseAddress& address) {
  std::vector<std::string> parts;
  for (const auto& [name, value] : address.parameters) {
    parts.push_back(fmt::format("{}={}", name, value));
  }
  if (address.has_password) {
    parts.push_back(fmt::format("<{}>", address.password.reveal()));
  }
  return fmt::format("{}", fmt::join(parts, " "));
}

util::ErrorInfo url_error(const std::string& text) {
  return error_of([&] { parse(text); });
}

}  // namespace

TEST_CASE("URLs become libpq parameters") {
  struct Case {
    std::string url;
    std::string expected;
  };
  const Case cases[] = {
      {"postgresql://", ""},
      {"postgres://", ""},
      {"postgresql://localhost", "host=localhost"},
      {"postgresql://localhost:5433", "host=localhost port=5433"},
      {"postgresql://localhost/", "host=localhost"},
      {"postgresql://localhost/mydb", "host=localhost dbname=mydb"},
      {"postgresql:///mydb", "dbname=mydb"},
      {"postgresql://user@localhost", "user=user host=localhost"},
      {"postgresql://user:secret@localhost", "user=user host=localhost <secret>"},
      {"postgresql://user:@localhost", "user=user host=localhost <>"},
      {"postgresql://:secret@localhost", "host=localhost <secret>"},
      {"postgresql://@localhost", "host=localhost"},
      {"POSTGRES://localhost/x", "host=localhost dbname=x"},
      {"  postgres://h/d\r\n", "host=h dbname=d"},
      {"postgresql://other@localhost/otherdb?connect_timeout=10&application_name=myapp",
       "user=other host=localhost dbname=otherdb connect_timeout=10 application_name=myapp"},
      {"postgresql://h/d?", "host=h dbname=d"},
      {"postgresql://h/d?&sslmode=require&", "host=h dbname=d sslmode=require"},
      {"postgresql://h?sslmode=require", "host=h sslmode=require"},
      {"postgresql:///?host=/var/run/postgresql&dbname=d", "host=/var/run/postgresql dbname=d"},
      {"postgresql://%2Fvar%2Frun%2Fpostgresql/d", "host=/var/run/postgresql dbname=d"},
      {"postgresql://[2001:db8::1234]/d", "host=2001:db8::1234 dbname=d"},
      {"postgresql://u:p@[::1]:5433/d", "user=u host=::1 port=5433 dbname=d <p>"},
      {"postgresql://[fe80::1%25eth0]/d", "host=fe80::1%eth0 dbname=d"},
      {"postgresql://h1:123,h2:456/d?target_session_attrs=any",
       "host=h1,h2 port=123,456 dbname=d target_session_attrs=any"},
      {"postgresql://h1,h2/d", "host=h1,h2 port=, dbname=d"},
      {"postgresql://h1,h2:456/d", "host=h1,h2 port=,456 dbname=d"},
      {"postgresql://[::1]:1,h2/d", "host=::1,h2 port=1, dbname=d"},
      {"postgresql://,h2/d", "host=,h2 port=, dbname=d"},
      {"postgresql://h/my%20db", "host=h dbname=my db"},
      {"postgresql://h/d?options=-c%20geqo%3Doff", "host=h dbname=d options=-c geqo=off"},
      {"postgresql://h/d?options=-c geqo=off", "host=h dbname=d options=-c geqo=off"},
      {"postgresql://h/d?user=a&user=b", "host=h dbname=d user=b"},
      {"postgresql://u@h/d?password=x%26y", "user=u host=h dbname=d <x&y>"},
      {"postgresql://h/d?ssl=true", "host=h dbname=d sslmode=require"},
      {"postgresql://h/d?application_name=a@b", "host=h dbname=d application_name=a@b"},
      {"postgresql://h/d?hostaddr=10.0.0.1&sslcert=/c&sslkey=/k&sslrootcert=system",
       "host=h dbname=d hostaddr=10.0.0.1 sslcert=/c sslkey=/k sslrootcert=system"},
      {"\"postgresql://h/d\"", "host=h dbname=d"},
      {"'postgresql://h/d'", "host=h dbname=d"},
  };
  for (const Case& test : cases) {
    CAPTURE(test.url);
    CHECK(summary(parse(test.url)) == test.expected);
  }
}

TEST_CASE("a password may stand in the URL as it is, or percent-encoded") {
  struct Case {
    std::string in_url;
    std::string password;
  };
  const Case cases[] = {
      {"p@s:w/o#r%d", "p@s:w/o#r%d"},
      {"p%40s%3Aw%2Fo%23r%25d", "p@s:w/o#r%d"},
      {"a@b@c", "a@b@c"},
      {"a/b", "a/b"},
      {"a:b", "a:b"},
      {"100%", "100%"},
      {"100%%", "100%%"},
      {"5%zz", "5%zz"},
      {"%41", "A"},
      {"a%3Fb", "a?b"},
      {"a&b=c", "a&b=c"},
      {"a b", "a b"},
      {"[x]", "[x]"},
      {"a,b", "a,b"},
      {"+", "+"},
      {"\\'\"`$x", "\\'\"`$x"},
      {"\xC3\xBC%C3%BC", "\xC3\xBC\xC3\xBC"},
      {"line%0Abreak", "line\nbreak"},
      {"", ""},
  };
  for (const Case& test : cases) {
    CAPTURE(test.in_url);
    const DatabaseAddress address = parse("postgres://app:" + test.in_url + "@db.example:5433/shop?sslmode=require");
    CHECK(address.password.reveal() == test.password);
    CHECK(address.has_password);
    CHECK(*address.find("user") == "app");
    CHECK(*address.find("host") == "db.example");
    CHECK(*address.find("port") == "5433");
    CHECK(*address.find("dbname") == "shop");
  }
}

TEST_CASE("key=value strings are read as libpq reads them") {
  struct Case {
    std::string text;
    std::string expected;
  };
  const Case cases[] = {
      {"host=localhost port=5432 dbname=mydb", "host=localhost port=5432 dbname=mydb"},
      {"host = localhost  user= app", "host=localhost user=app"},
      {"password='it\\'s \\\\ secret' host=h", "host=h <it's \\ secret>"},
      {"password=a\\ b host=h", "host=h <a b>"},
      {"host='' dbname=d", "host= dbname=d"},
      {"dbname=d password=", "dbname=d <>"},
      {"dbname=d password=x\\", "dbname=d <x>"},
      {"host=h\n\tdbname=d\n", "host=h dbname=d"},
      {"host=a,b port=1,2", "host=a,b port=1,2"},
      {"password=postgres://x:y@z host=h", "host=h <postgres://x:y@z>"},
      {"host=h password=a?b@c", "host=h <a?b@c>"},
  };
  for (const Case& test : cases) {
    CAPTURE(test.text);
    CHECK(summary(parse(test.text)) == test.expected);
  }
}

TEST_CASE("Prisma's parameters are understood") {
  const DatabaseAddress address = parse(
      "postgresql://u:p@h:5432/d?schema=app&connection_limit=1&pgbouncer=true&pool_timeout=0&statement_cache_size=0&"
      "socket_timeout=5&max_connection_lifetime=1&max_idle_connection_lifetime=1&connection_limit=2&connect_timeout=0");
  CHECK(summary(address) == "user=u host=h port=5432 dbname=d connect_timeout=0 <p>");
  CHECK(address.search_path_schema == "app");
  CHECK(address.pgbouncer);
  REQUIRE(address.notes.size() == 1);
  CHECK(address.notes[0] ==
        "Prisma's parameters without a meaning here are ignored: connection_limit, max_connection_lifetime, "
        "max_idle_connection_lifetime, pool_timeout, socket_timeout, statement_cache_size");
  CHECK(parse("postgresql://h/d?schema=a&schema=b").search_path_schema == "b");
  CHECK(parse("postgresql://h/d?schema=My%20App").search_path_schema == "My App");
  CHECK_FALSE(parse("postgresql://h/d?pgbouncer=false").pgbouncer);
  CHECK(parse("postgresql://h:6543/d").pgbouncer);
  CHECK(parse("postgresql://a:5432,b:6543/d").pgbouncer);
  CHECK_FALSE(parse("postgresql://h:16543/d").pgbouncer);
}

TEST_CASE("several hosts are noticed") {
  CHECK(parse("postgresql://a,b/d").multi_host);
  CHECK(parse("host=a,b").multi_host);
  CHECK(parse("hostaddr=10.0.0.1,10.0.0.2").multi_host);
  CHECK_FALSE(parse("postgresql://a/d").multi_host);
}

TEST_CASE("Prisma's TLS parameters are translated, with a note") {
  struct Case {
    std::string query;
    std::string expected;
    std::string note;
  };
  const Case cases[] = {
      {"sslaccept=strict", "sslmode=verify-full", "sslaccept=strict is read as sslmode=verify-full"},
      {"sslmode=require&sslaccept=strict", "sslmode=verify-full", "sslaccept=strict"},
      {"sslmode=verify-ca&sslaccept=strict", "sslmode=verify-full", "sslaccept=strict"},
      {"sslmode=disable&sslaccept=strict", "sslmode=disable", "is ignored"},
      {"sslmode=require&sslaccept=accept_invalid_certs", "sslmode=require", "accept_invalid_certs is ignored"},
      {"schema=public&sslmode=verify-full", "sslmode=verify-full", "is checked now"},
      {"connection_limit=1&sslmode=verify-ca", "sslmode=verify-ca", "is checked now"},
      {"schema=public&sslcert=/ca.pem", "sslrootcert=/ca.pem", "sslcert without sslkey"},
      {"schema=public&sslcert=/c.pem&sslkey=/k.pem", "sslcert=/c.pem sslkey=/k.pem", ""},
      {"schema=public&sslcert=/c.pem&sslrootcert=/ca.pem", "sslcert=/c.pem sslrootcert=/ca.pem", ""},
      {"sslcert=/c.pem", "sslcert=/c.pem", ""},
      {"sslmode=verify-full", "sslmode=verify-full", ""},
  };
  for (const Case& test : cases) {
    CAPTURE(test.query);
    const DatabaseAddress address = parse("postgresql:///?" + test.query);
    CHECK(summary(address) == test.expected);
    const std::string notes = fmt::format("{}", fmt::join(address.notes, "; "));
    CHECK_MESSAGE(notes.find(test.note) != std::string::npos, notes);
  }
}

TEST_CASE("what is wrong is named, with what to do") {
  struct Case {
    std::string text;
    std::string message;
    std::string hint;
  };
  const Case cases[] = {
      {"", "is empty", "postgresql://"},
      {"''", "is empty", ""},
      {"nonsense", "is no database URL", "postgresql://"},
      {"prisma://accelerate.prisma-data.net/?api_key=hunter2", "prisma:// URL", "DIRECT_URL"},
      {"prisma+postgres://accelerate/?api_key=hunter2", "prisma+postgres:// URL", "DIRECT_URL"},
      {"jdbc:postgresql://h/d?user=u&password=hunter2", "JDBC", "postgresql://"},
      {"postgres+ssl://u:hunter2@h/d", "names a driver in the scheme", "sslmode=require"},
      {"postgresql+asyncpg://u:hunter2@h/d", "names a driver in the scheme", ""},
      {"mysql://u:hunter2@h/d", "holds a mysql:// URL", ""},
      {"postgres:u:hunter2@h", "lacks the // after the scheme", ""},
      {"hunter2://x", "scheme that is not postgresql", ""},
      {"app:hunter2@h/d", "scheme that is not postgresql", ""},
      {"postgres://u:hun?ter2@h/d", "", "%3F"},
      {"postgres://u:hun@ter?2@h/d", "", "%3F"},
      {"postgres://u:hun?sslmode=ter2@h/d", "", "%3F"},
      {"postgres://u:hun?ter2@h/d?sslmode=require", "", "%3F"},
      {"postgres://u:p@h:0/d", "bad port", ""},
      {"postgres://u:p@h:65536/d", "bad port", ""},
      {"postgres://u:p@h:5432x/d", "bad port", ""},
      {"postgres://u:p@h:-1/d", "bad port", ""},
      {"postgres://h1:1,h2:x/d", "bad port", ""},
      {"postgres:///?port=1,x", "bad port", ""},
      {"postgres://[::1/d", "IPv6", "[::1]"},
      {"postgres://[]/d", "IPv6", ""},
      {"postgres://[::1]x/d", "IPv6", ""},
      {"postgres://::1/d", "second ':'", "brackets"},
      {"postgres://h%zz/d", "'%' without two hexadecimal digits in the host", "%25"},
      {"postgres://h/d%", "'%' without two hexadecimal digits in the database name", ""},
      {"postgres://h/d?application_name=%", "'%' without", ""},
      {"postgres://u:a%00b@h/d", "NUL byte (%00) in the password", ""},
      {"postgres://h/a%00b", "NUL byte (%00) in the database name", ""},
      {"postgres://h%0A/d", "control character in the host", ""},
      {"postgres://h/d%0A", "control character in the database name", ""},
      {"postgres://u%09@h/d", "control character in the user name", ""},
      {"postgres://h/d?schema=a%0Ab", "control character in schema", ""},
      {"postgres://h/d\npostgres://h/e", "more than one line", ""},
      {"postgres://h/d\tx", "control character", ""},
      {"postgres://h/d@e", "before the '@'", "%40"},
      {"postgres://h/d?sslmod=require", "unknown parameter \"sslmod\"", "Did you mean sslmode?"},
      {"postgres://h/d?shema=public", "unknown parameter \"shema\"", "Did you mean schema?"},
      {"postgres://h/d?sslmode=on", "bad value for sslmode: expected disable, allow", ""},
      {"postgres://h/d?sslmode=no-verify", "bad value for sslmode", "sslmode=require"},
      {"postgres://h/d?connect_timeout=10s", "bad value for connect_timeout", ""},
      {"postgres://h/d?ssl=1", "bad value for ssl: expected true", ""},
      {"postgres://h/d?sslaccept=maybe", "bad value for sslaccept", ""},
      {"postgres://h/d?schema=a,b", "bad value for schema: expected one name", ""},
      {"postgres://h/d?sslidentity=c.p12&sslpassword=hunter2", "sslidentity", "openssl pkcs12"},
      {"postgres://h/d?hunter2", "a parameter without a value", "%26"},
      {"postgres://u:$(DB_PASSWORD)@h/d", "a reference to a variable in place of the password", "env:"},
      {"postgres://u:${DB_PASSWORD}@h/d", "a reference to a variable in place of the password", ""},
      {"postgres://$(DB_USER):x@h/d", "a reference to a variable in place of the user name", ""},
      {"postgres://u:x@$(DB_HOST)/d", "a reference to a variable in place of the host", ""},
      {"host=h password='hunter2", "a quote that is not closed", ""},
      {"host=h password=my hunter2", "a word without '='", "quotes"},
      {"host=h =x", "a word without '='", ""},
      {"hots=h", "unknown parameter \"hots\"", "Did you mean host?"},
      {"host=h port=x", "bad port", ""},
  };
  for (const Case& test : cases) {
    CAPTURE(test.text);
    const auto error = url_error(test.text);
    CHECK(error.outcome == util::Outcome::config);
    CHECK(error.message.starts_with("environment variable DATABASE_URL "));
    CHECK_MESSAGE(error.message.find(test.message) != std::string::npos, error.message);
    CHECK_MESSAGE(error.hint.find(test.hint) != std::string::npos, error.hint);
    CHECK(util::to_string(error).find("hunter2") == std::string::npos);
    CHECK(util::to_string(error).find("ter2") == std::string::npos);
  }
}

TEST_CASE("no error and no note holds a password, however the string around it is broken") {
  // Pieces of the password, so that a part of it would be found too.
  const std::vector<std::string> passwords = {
      "hunTer2",           "hunTer2/hunTer2",  "hunTer2?hunTer2",  "hunTer2&hunTer2", "hunTer2@x",
      "hunTer2#hunTer2",   "hunTer2=hunTer2",  "hunTer2%00",       "hunTer2%zz",      "hunTer2 hunTer2",
      "hunTer2&a=hunTer2", "?hunTer2=hunTer2", "?sslmode=hunTer2", "&hunTer2=1",      "'hunTer2",
      "hunTer2\\",         "hunTer2\n",        "hunTer2:hunTer2",  "[hunTer2",        "$(hunTer2)",
      "hunTer2,hunTer2"};
  const std::vector<std::string> frames = {"postgres://app:{}@db/x",
                                           "postgres://app:{}@db:bad/x",
                                           "postgres://app:{}@db/x?bogus=1",
                                           "postgres://app:{}@[db/x",
                                           "postgres://app:{}@db/x?sslmode=bad",
                                           "postgres://app:{}@db%/x",
                                           "postgres://app:{}",
                                           "postgres://{}@db/x",
                                           "postgres://db/x?password={}",
                                           "postgres://db/x?password={}&bogus=1",
                                           "postgres://db/x?sslpassword={}&bogus=1",
                                           "postgres://db/x?pasword={}",
                                           "mysql://app:{}@db/x",
                                           "prisma://app:{}@db/x",
                                           "jdbc:postgresql://app:{}@db/x",
                                           "app:{}@db/x",
                                           "{}",
                                           "host=db password={} bogus=1",
                                           "host=db password={}",
                                           "host=db password='{}' bogus=1",
                                           "host=db password='{}",
                                           "password={} host",
                                           "pasword={}"};
  for (const std::string& frame : frames) {
    for (const std::string& password : passwords) {
      const std::string text = fmt::format(fmt::runtime(frame), password);
      CAPTURE(text);
      std::string seen;
      try {
        seen = fmt::format("{}", fmt::join(parse(text).notes, "; "));
      } catch (const util::Error& error) {
        seen = util::to_string(error.info());
      }
      CAPTURE(seen);
      CHECK(seen.find("unTer2") == std::string::npos);
    }
  }
}
