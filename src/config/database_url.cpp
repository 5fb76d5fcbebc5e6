#include "config/database_url.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "util/text.hpp"

namespace lockkeeper::config {
namespace {

// What PQconninfoParse knows in libpq 15 to 18; an older libpq still refuses the newest of them by name.
constexpr auto k_keywords = std::to_array<std::string_view>({"application_name",
                                                             "channel_binding",
                                                             "client_encoding",
                                                             "connect_timeout",
                                                             "dbname",
                                                             "fallback_application_name",
                                                             "gssdelegation",
                                                             "gssencmode",
                                                             "gsslib",
                                                             "host",
                                                             "hostaddr",
                                                             "keepalives",
                                                             "keepalives_count",
                                                             "keepalives_idle",
                                                             "keepalives_interval",
                                                             "krbsrvname",
                                                             "load_balance_hosts",
                                                             "max_protocol_version",
                                                             "min_protocol_version",
                                                             "oauth_client_id",
                                                             "oauth_client_secret",
                                                             "oauth_issuer",
                                                             "oauth_scope",
                                                             "options",
                                                             "passfile",
                                                             "password",
                                                             "port",
                                                             "replication",
                                                             "require_auth",
                                                             "requirepeer",
                                                             "scram_client_key",
                                                             "scram_server_key",
                                                             "service",
                                                             "ssl_max_protocol_version",
                                                             "ssl_min_protocol_version",
                                                             "sslcert",
                                                             "sslcertmode",
                                                             "sslcompression",
                                                             "sslcrl",
                                                             "sslcrldir",
                                                             "sslkey",
                                                             "sslkeylogfile",
                                                             "sslmode",
                                                             "sslnegotiation",
                                                             "sslpassword",
                                                             "sslrootcert",
                                                             "sslsni",
                                                             "target_session_attrs",
                                                             "tcp_user_timeout",
                                                             "user"});

// Prisma's (quaint's url.rs) that have no meaning for one connection.
constexpr auto k_ignored_prisma =
    std::to_array<std::string_view>({"connection_limit", "max_connection_lifetime", "max_idle_connection_lifetime",
                                     "pool_timeout", "socket_timeout", "statement_cache_size"});
constexpr auto k_other_prisma = std::to_array<std::string_view>({"pgbouncer", "schema", "sslaccept", "sslidentity"});

constexpr auto k_secret_keywords = std::to_array<std::string_view>(
    {"oauth_client_secret", "password", "scram_client_key", "scram_server_key", "sslpassword"});

constexpr auto k_ssl_modes =
    std::to_array<std::string_view>({"disable", "allow", "prefer", "require", "verify-ca", "verify-full"});

constexpr std::string_view k_form = "postgresql://user:password@host:5432/database?sslmode=require";

constexpr std::string_view k_ambiguous_hint =
    "A '?' in the password makes the URL ambiguous: write it as %3F, or leave the password out of the URL and set "
    "PGPASSWORD.";

template <typename Range>
bool contains(const Range& range, std::string_view word) {
  return std::find(range.begin(), range.end(), word) != range.end();
}

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
}

bool is_alpha(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return result;
}

/// 16 when \p c is no hex digit.
unsigned hex_digit(char c) {
  constexpr std::string_view k_lower = "0123456789abcdef";
  constexpr std::string_view k_upper = "0123456789ABCDEF";
  return static_cast<unsigned>(std::min({k_lower.find(c), k_upper.find(c), k_lower.size()}));
}

std::optional<unsigned char> hex_byte(std::string_view text) {
  if (text.size() < 2) {
    return std::nullopt;
  }
  const unsigned high = hex_digit(text[0]);
  const unsigned low = hex_digit(text[1]);
  return high < 16 && low < 16 ? std::optional(static_cast<unsigned char>(high * 16 + low)) : std::nullopt;
}

bool is_name_character(char c) {
  return is_alpha(c) || c == '_';
}

/// A name that people type, not a piece of a password: letters and underscores, as all parameters have.
bool is_parameter_name(std::string_view name) {
  constexpr std::size_t k_longest = 40;
  return !name.empty() && name.size() <= k_longest && std::all_of(name.begin(), name.end(), is_name_character);
}

/// $(NAME) or ${NAME}, whole: what a pod spec or a shell leaves when the variable is not there.
bool is_unexpanded(std::string_view text) {
  constexpr std::size_t k_brackets = 3;
  if (text.size() <= k_brackets || text[0] != '$') {
    return false;
  }
  const bool round = text[1] == '(' && text.back() == ')';
  const bool curly = text[1] == '{' && text.back() == '}';
  const std::string_view name = text.substr(2, text.size() - k_brackets);
  return (round || curly) &&
         std::all_of(name.begin(), name.end(), [](char c) { return is_name_character(c) || is_digit(c); });
}

/// Reads one string. Messages name parts ("the port"), never what stands there.
class AddressReader {
 public:
  explicit AddressReader(const std::string& source) : m_source(source) {}

  DatabaseAddress read(std::string_view text) {
    text = util::trim(text);
    text = without_quotes(text);
    if (text.empty()) {
      fail("is empty", fmt::format("Expected {}.", k_form));
    }
    if (const auto rest = after_scheme(text)) {
      refuse_controls_in_url(*rest);
      read_url(*rest);
    } else {
      read_pairs(text);
    }
    finish();
    return std::move(m_address);
  }

 private:
  [[noreturn]] void fail(std::string_view problem, std::string hint = {}) const {
    throw util::Error(util::Outcome::config, fmt::format("{} {}", m_source, problem),
                      m_ambiguous ? std::string(k_ambiguous_hint) : std::move(hint));
  }

  /// `docker run --env-file` keeps the quotes of a .env file.
  std::string_view without_quotes(std::string_view text) {
    const bool quoted =
        text.size() >= 2 && (text.front() == '"' || text.front() == '\'') && text.back() == text.front();
    if (!quoted) {
      return text;
    }
    m_address.notes.emplace_back("quotes around the URL were removed");
    return util::trim(text.substr(1, text.size() - 2));
  }

  void refuse_controls_in_url(std::string_view text) const {
    if (text.find('\n') != std::string_view::npos) {
      fail("holds more than one line", "Expected one URL.");
    }
    if (std::any_of(text.begin(), text.end(), is_control)) {
      fail("holds a control character", "Percent-encode it: a tab is %09.");
    }
  }

  // --- the scheme

  /// What follows postgres://; nullopt when \p text is no URL.
  std::optional<std::string_view> after_scheme(std::string_view text) {
    const std::size_t colon = text.find(':');
    const std::string scheme = lower(text.substr(0, colon));
    const bool is_scheme = colon != std::string_view::npos && colon > 0 && is_alpha(text.front()) &&
                           std::all_of(scheme.begin(), scheme.end(), [](char c) {
                             return is_alpha(c) || is_digit(c) || c == '+' || c == '-' || c == '.';
                           });
    if (!is_scheme) {
      if (text.find('=') == std::string_view::npos) {
        fail("is no database URL", fmt::format("Expected {}.", k_form));
      }
      return std::nullopt;
    }
    if ((scheme == "postgres" || scheme == "postgresql") && text.substr(colon).starts_with("://")) {
      return text.substr(colon + 3);
    }
    refuse_scheme(scheme);
  }

  [[noreturn]] void refuse_scheme(std::string_view scheme) const {
    constexpr auto k_others =
        std::to_array<std::string_view>({"cockroachdb", "file", "http", "https", "mariadb", "mongodb", "mongodb+srv",
                                         "mssql", "mysql", "sqlite", "sqlserver"});
    const std::string expected = fmt::format("Expected {}.", k_form);
    if (scheme == "prisma" || scheme == "prisma+postgres") {
      fail(fmt::format("holds a {}:// URL, which only Prisma's own client can use", scheme),
           "Set DIRECT_URL to the direct URL of the database, postgresql://...");
    }
    if (scheme == "jdbc") {
      fail("holds a JDBC URL", fmt::format("{} JDBC's user and password parameters go before the @.", expected));
    }
    if (scheme.starts_with("postgres+") || scheme.starts_with("postgresql+")) {
      fail("names a driver in the scheme of the URL",
           fmt::format("Leave the part from the + on out; TLS is asked for with ?sslmode=require. {}", expected));
    }
    if (scheme == "postgres" || scheme == "postgresql") {
      fail("lacks the // after the scheme of the URL", expected);
    }
    if (contains(k_others, scheme)) {
      fail(fmt::format("holds a {}:// URL, not one for PostgreSQL", scheme), expected);
    }
    fail("holds a URL with a scheme that is not postgresql", expected);
  }

  // --- the parts of a URL

  void read_url(std::string_view rest) {
    const std::size_t question = rest.find('?');
    const std::string_view query = question == std::string_view::npos ? std::string_view() : rest.substr(question + 1);
    m_ambiguous = query.find('@') != std::string_view::npos;
    rest = rest.substr(0, question);
    // The last @: a raw password may hold some, and slashes too.
    const std::size_t at = rest.rfind('@');
    if (at != std::string_view::npos) {
      read_user_info(rest.substr(0, at));
      rest.remove_prefix(at + 1);
    }
    const std::size_t slash = rest.find('/');
    read_hosts(rest.substr(0, slash));
    if (slash != std::string_view::npos && slash + 1 < rest.size()) {
      set_name("dbname", "the database name", decode(rest.substr(slash + 1), "the database name"));
    }
    read_query(query);
  }

  void read_user_info(std::string_view info) {
    const std::size_t colon = info.find(':');
    const std::string_view user = info.substr(0, colon);
    if (user.find('/') != std::string_view::npos) {
      fail("has a '/' before the '@' of its URL, where a user name is expected",
           "Write '/' in a user name as %2F, and '@' in a database name as %40.");
    }
    if (!user.empty()) {
      set_name("user", "the user name", decode_leniently(user, "the user name"));
    }
    if (colon != std::string_view::npos) {
      set_password(decode_leniently(info.substr(colon + 1), "the password"));
    }
  }

  /// One or more of host[:port], divided by commas, into libpq's two lists.
  void read_hosts(std::string_view text) {
    std::vector<std::string> hosts;
    std::vector<std::string> ports;
    while (true) {
      const std::size_t comma = text.find(',');
      read_host(text.substr(0, comma), hosts, ports);
      if (comma == std::string_view::npos) {
        break;
      }
      text.remove_prefix(comma + 1);
    }
    const auto empty = [](const std::string& part) { return part.empty(); };
    if (!std::all_of(hosts.begin(), hosts.end(), empty) || hosts.size() > 1) {
      set("host", fmt::format("{}", fmt::join(hosts, ",")));
    }
    // As libpq: with several hosts an empty entry is 5432, and PGPORT is not asked.
    if (!std::all_of(ports.begin(), ports.end(), empty) || ports.size() > 1) {
      set("port", fmt::format("{}", fmt::join(ports, ",")));
    }
  }

  void read_host(std::string_view text, std::vector<std::string>& hosts, std::vector<std::string>& ports) const {
    std::string_view host = text;
    std::string_view after;  // ":port" or nothing
    if (text.starts_with('[')) {
      const std::size_t bracket = text.find(']');
      if (bracket == std::string_view::npos || bracket == 1) {
        fail("has an IPv6 address without its closing bracket, or an empty one", "Expected [::1] or [::1]:5432.");
      }
      host = text.substr(1, bracket - 1);
      after = text.substr(bracket + 1);
      if (!after.empty() && after.front() != ':') {
        fail("has something other than a port after an IPv6 address", "Expected [::1] or [::1]:5432.");
      }
    } else if (const std::size_t colon = text.find(':'); colon != std::string_view::npos) {
      host = text.substr(0, colon);
      after = text.substr(colon);
      if (after.find(':', 1) != std::string_view::npos) {
        fail("has a second ':' after the host", "An IPv6 address stands in brackets: [::1]:5432.");
      }
    }
    hosts.push_back(decode(host, "the host"));
    check_name(hosts.back(), "the host");
    const std::string_view port = after.empty() ? after : after.substr(1);
    check_port(port);
    ports.emplace_back(port);
  }

  void read_query(std::string_view query) {
    while (!query.empty()) {
      const std::size_t end = query.find('&');
      const std::string_view pair = query.substr(0, end);
      query = end == std::string_view::npos ? std::string_view() : query.substr(end + 1);
      if (pair.empty()) {
        continue;
      }
      const std::size_t equals = pair.find('=');
      if (equals == std::string_view::npos) {
        fail("has a parameter without a value (its name is not shown: it could be a piece of a password)",
             "A parameter is name=value; an '&' in a value is written %26.");
      }
      const std::string name = decode(pair.substr(0, equals), "the name of a parameter");
      apply(name, decode(pair.substr(equals + 1), "the value of a parameter"));
    }
  }

  // --- key=value pairs

  /// As libpq's conninfo_parse: 'quoted values', backslashes, blanks around the equals sign.
  void read_pairs(std::string_view text) {
    std::size_t at = 0;
    const auto blank = [&] { return at < text.size() && (text[at] == ' ' || (text[at] >= '\t' && text[at] <= '\r')); };
    const auto skip_blanks = [&] {
      while (blank()) {
        ++at;
      }
    };
    for (skip_blanks(); at < text.size(); skip_blanks()) {
      const std::size_t begin = at;
      while (at < text.size() && text[at] != '=' && !blank()) {
        ++at;
      }
      const std::string name(text.substr(begin, at - begin));
      skip_blanks();
      if (at >= text.size() || text[at] != '=' || name.empty()) {
        fail("has a word without '=' in its key=value pairs", "Put a value with blanks into 'single quotes'.");
      }
      ++at;
      skip_blanks();
      apply(name, read_value(text, at));
    }
  }

  std::string read_value(std::string_view text, std::size_t& at) const {
    const bool quoted = at < text.size() && text[at] == '\'';
    at += quoted ? 1U : 0U;
    std::string value;
    for (; at < text.size(); ++at) {
      const char c = text[at];
      if (quoted ? c == '\'' : (c == ' ' || (c >= '\t' && c <= '\r'))) {
        break;
      }
      if (c == '\\' && at + 1 < text.size()) {
        ++at;
      } else if (c == '\\') {
        break;  // libpq drops a backslash at the very end
      }
      value += text[at];
    }
    if (quoted && (at >= text.size() || text[at] != '\'')) {
      fail("has a quote that is not closed in its key=value pairs", "Write a quote inside a value as \\'.");
    }
    at += at < text.size() ? 1U : 0U;
    return value;
  }

  // --- parameters

  void apply(const std::string& name, const std::string& value) {
    if (value.find('\0') != std::string::npos) {
      fail("holds a NUL byte");
    }
    if (name == "password") {
      set_password(value);
    } else if (name == "ssl") {
      // JDBC's; libpq takes it too.
      check(value == "true", "ssl", "true", "Use sslmode for anything else.");
      set("sslmode", "require");
    } else if (contains(k_ignored_prisma, name)) {
      m_ignored.push_back(name);
    } else if (contains(k_other_prisma, name)) {
      apply_prisma(name, value);
    } else if (contains(k_keywords, name)) {
      apply_keyword(name, value);
    } else {
      refuse_parameter(name);
    }
    m_secret_seen = m_secret_seen || contains(k_secret_keywords, name);
  }

  void apply_keyword(const std::string& name, const std::string& value) {
    if (name == "sslmode") {
      check(contains(k_ssl_modes, value), name, fmt::format("{}", fmt::join(k_ssl_modes, ", ")),
            value == "no-verify" ? "Encryption without verification is sslmode=require." : "");
    } else if (name == "connect_timeout") {
      check(!value.empty() && value.size() < 10 && std::all_of(value.begin(), value.end(), is_digit), name,
            "a whole number of seconds", "");
    } else if (name == "port") {
      check_ports(value);
    } else if (name == "host" || name == "hostaddr" || name == "dbname" || name == "user") {
      check_name(value, name);
    }
    set(name, value);
  }

  void apply_prisma(const std::string& name, const std::string& value) {
    m_prisma = true;
    if (name == "schema") {
      check_name(value, "schema");
      check(value.find(',') == std::string::npos, name, "one name", "Prisma's schema parameter takes one schema.");
      m_address.search_path_schema = value;
    } else if (name == "pgbouncer") {
      m_address.pgbouncer = value == "true";
    } else if (name == "sslaccept") {
      check(value == "strict" || value == "accept_invalid_certs", name, "strict or accept_invalid_certs", "");
      m_sslaccept = value;
    } else {
      fail("has Prisma's parameter sslidentity, a PKCS#12 file, which libpq cannot read",
           "Convert it once: openssl pkcs12 -in client.p12 -nodes -out client.pem; then use sslcert and sslkey.");
    }
  }

  [[noreturn]] void refuse_parameter(const std::string& name) const {
    if (m_ambiguous || m_secret_seen || !is_parameter_name(name)) {
      fail("has an unknown parameter (not shown: it could be a piece of a password)",
           "An '&' in a password is written %26; in key=value pairs a value with blanks stands in 'single quotes'.");
    }
    std::vector<std::string_view> known(k_keywords.begin(), k_keywords.end());
    known.insert(known.end(), k_other_prisma.begin(), k_other_prisma.end());
    const std::string_view best = util::closest(lower(name), known);
    fail(fmt::format("has an unknown parameter \"{}\"", name),
         best.empty() ? "The parameters are libpq's and Prisma's; see docs/configuration.md."
                      : fmt::format("Did you mean {}?", best));
  }

  // --- after the last parameter

  void finish() {
    const bool prisma = m_prisma || !m_ignored.empty();
    if (!m_ignored.empty()) {
      std::sort(m_ignored.begin(), m_ignored.end());
      m_ignored.erase(std::unique(m_ignored.begin(), m_ignored.end()), m_ignored.end());
      m_address.notes.push_back(
          fmt::format("Prisma's parameters without a meaning here are ignored: {}", fmt::join(m_ignored, ", ")));
    }
    if (prisma) {
      translate_prisma_tls();
    }
    const std::string* host = m_address.find("host");
    const std::string* host_address = m_address.find("hostaddr");
    m_address.multi_host = (host != nullptr && host->find(',') != std::string::npos) ||
                           (host_address != nullptr && host_address->find(',') != std::string::npos);
    const std::string* port = m_address.find("port");
    // 6543 is what Supabase and others give their transaction-mode pooler.
    m_address.pgbouncer =
        m_address.pgbouncer || (port != nullptr && fmt::format(",{},", *port).find(",6543,") != std::string::npos);
  }

  void translate_prisma_tls() {
    const std::string* mode = m_address.find("sslmode");
    const bool disabled = mode != nullptr && *mode == "disable";
    if (mode != nullptr && mode->starts_with("verify-") && m_sslaccept != "strict") {
      m_address.notes.push_back(
          fmt::format("sslmode={} is enforced here; Prisma takes it for prefer, so a certificate that was never "
                      "checked is checked now",
                      *mode));
    }
    if (m_sslaccept == "strict" && !disabled) {
      set("sslmode", "verify-full");
      m_address.notes.emplace_back("Prisma's sslaccept=strict is read as sslmode=verify-full");
    } else if (!m_sslaccept.empty()) {
      m_address.notes.push_back(
          fmt::format("Prisma's sslaccept={} is ignored: sslmode decides what is checked", m_sslaccept));
    }
    const std::string* certificate = m_address.find("sslcert");
    if (certificate != nullptr && m_address.find("sslkey") == nullptr && m_address.find("sslrootcert") == nullptr) {
      set("sslrootcert", std::string(*certificate));
      std::erase_if(m_address.parameters, [](const auto& parameter) { return parameter.first == "sslcert"; });
      m_address.notes.emplace_back(
          "sslcert without sslkey is read as Prisma reads it, as the server's authority (libpq's sslrootcert)");
    }
  }

  // --- values

  void set(std::string_view keyword, std::string value) {
    for (auto& [name, old] : m_address.parameters) {
      if (name == keyword) {
        old = std::move(value);
        return;
      }
    }
    m_address.parameters.emplace_back(keyword, std::move(value));
  }

  void set_name(std::string_view keyword, std::string_view part, std::string value) {
    check_name(value, part);
    set(keyword, std::move(value));
  }

  void set_password(std::string value) {
    if (is_unexpanded(value)) {
      fail("has a reference to a variable in place of the password", std::string(k_unexpanded_hint));
    }
    m_address.password = util::Secret(std::move(value));
    m_address.has_password = true;
  }

  void check(bool good, std::string_view name, std::string_view expected, std::string_view hint) const {
    if (!good) {
      fail(fmt::format("has a bad value for {}: expected {}", name, expected), std::string(hint));
    }
  }

  void check_name(std::string_view value, std::string_view part) const {
    if (std::any_of(value.begin(), value.end(), is_control)) {
      fail(fmt::format("has a control character in {}", part));
    }
    if (is_unexpanded(value)) {
      fail(fmt::format("has a reference to a variable in place of {}", part), std::string(k_unexpanded_hint));
    }
  }

  void check_port(std::string_view port) const {
    constexpr unsigned k_max_port = 65535;
    unsigned number = 0;
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
    const bool good = error == std::errc() && end == port.data() + port.size() && number >= 1 && number <= k_max_port;
    if (!port.empty() && !good) {
      fail("has a bad port: expected a number from 1 to 65535",
           "If the password holds '@', ':' or '/', percent-encode them, or set PGPASSWORD.");
    }
  }

  void check_ports(std::string_view list) const {
    while (true) {
      const std::size_t comma = list.find(',');
      check_port(list.substr(0, comma));
      if (comma == std::string_view::npos) {
        return;
      }
      list.remove_prefix(comma + 1);
    }
  }

  /// Percent-decodes; a bare % is an error.
  std::string decode(std::string_view text, std::string_view part) const { return decode(text, part, false); }
  /// In user and password a % that is followed by no two hexadecimal digits stands for itself.
  std::string decode_leniently(std::string_view text, std::string_view part) const { return decode(text, part, true); }

  std::string decode(std::string_view text, std::string_view part, bool lenient) const {
    std::string result;
    for (std::size_t at = 0; at < text.size(); ++at) {
      if (text[at] != '%') {
        result += text[at];
        continue;
      }
      const auto byte = hex_byte(text.substr(at + 1));
      if (!byte && !lenient) {
        fail(fmt::format("has a '%' without two hexadecimal digits in {}", part), "Write a '%' as %25.");
      }
      if (byte && *byte == 0) {
        fail(fmt::format("has a NUL byte (%00) in {}", part));
      }
      result += byte ? static_cast<char>(*byte) : '%';
      at += byte ? 2U : 0U;
    }
    return result;
  }

  static constexpr std::string_view k_unexpanded_hint =
      "In a pod, $(NAME) is replaced only by variables that stand before it in `env:`; a password put together like "
      "that "
      "should rather be given apart, as PGPASSWORD.";

  const std::string& m_source;
  DatabaseAddress m_address;
  std::vector<std::string> m_ignored;  ///< Prisma's parameters
  std::string m_sslaccept;
  bool m_prisma = false;       ///< a parameter that only Prisma has was there
  bool m_ambiguous = false;    ///< an '@' stands after the first '?': perhaps that is a piece of the password
  bool m_secret_seen = false;  ///< names that follow could be pieces of a password with a raw '&'
};

}  // namespace

const std::string* DatabaseAddress::find(std::string_view keyword) const {
  for (const auto& [name, value] : parameters) {
    if (name == keyword) {
      return &value;
    }
  }
  return nullptr;
}

DatabaseAddress parse_database_url(std::string_view text, const std::string& source) {
  return AddressReader(source).read(text);
}

}  // namespace lockkeeper::config
