#include "config/database_source.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "config/text_file.hpp"
#include "util/text.hpp"

namespace lockkeeper::config {
namespace {

using Kind = DatabaseSource::Kind;

DatabaseSource variable_source(const std::string& name, const std::string& why = {}) {
  return {Kind::variable, name, fmt::format("environment variable {}{}", name, why)};
}

/// \throws Error{config} when the URL itself stands where its file is to be named
DatabaseSource file_source(const std::string& path, const std::string& why) {
  if (path.find("://") != std::string::npos || path.find("password=") != std::string::npos) {
    throw util::Error(util::Outcome::config, fmt::format("{} holds a connection string, expected a path", why),
                      "Put the URL into DATABASE_URL, or into a file and name that file here.");
  }
  return {Kind::file, path, fmt::format("file {} ({})", path, why)};
}

DatabaseSource given_source(const Given& given) {
  if (given.option->name == "database-url-env") {
    return variable_source(given.value.text, fmt::format(" ({})", given.source));
  }
  return file_source(given.value.text, given.source);
}

/// What one layer says; nullopt when it says nothing.
/// \throws Error when it names a variable and a file
std::optional<DatabaseSource> source_of_layer(const std::vector<Given>& given, Layer layer) {
  const Given* found = nullptr;
  for (const Given& candidate : given) {
    const bool names_source =
        candidate.option->name == "database-url-env" || candidate.option->name == "database-url-file";
    if (candidate.layer != layer || !names_source) {
      continue;
    }
    if (found != nullptr && found->option != candidate.option) {
      throw util::Error(layer == Layer::flag ? util::Outcome::usage : util::Outcome::config,
                        fmt::format("{} and {} both say where the database URL is", found->source, candidate.source),
                        "Leave one of them out.");
    }
    found = &candidate;
  }
  return found == nullptr ? std::nullopt : std::optional(given_source(*found));
}

std::optional<DatabaseSource> source_of_variables(const Environment& environment) {
  for (const std::string name : {"DIRECT_URL", "DATABASE_URL"}) {
    if (find_variable(environment, name)) {
      return variable_source(name);
    }
  }
  if (const auto path = find_variable(environment, "DATABASE_URL_FILE")) {
    return file_source(*path, "environment variable DATABASE_URL_FILE");
  }
  for (const std::string name : {"PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE", "PGUSER"}) {
    if (find_variable(environment, name)) {
      return DatabaseSource{Kind::pg_variables, name, fmt::format("PG* environment variables ({})", name)};
    }
  }
  return std::nullopt;
}

DatabaseAddress address_from_pg_variables(const Environment& environment) {
  DatabaseAddress address;
  address.pgbouncer = find_variable(environment, "PGPORT") == "6543";
  address.multi_host = find_variable(environment, "PGHOST").value_or("").find(',') != std::string::npos ||
                       find_variable(environment, "PGHOSTADDR").value_or("").find(',') != std::string::npos;
  return address;
}

[[noreturn]] void throw_nothing_set() {
  throw util::Error(
      {.outcome = util::Outcome::config,
       .message = "DATABASE_URL is not set, nor any other source of the database URL",
       .hint =
           "In a shell: export DATABASE_URL='postgresql://user:password@host:5432/database'. In a Job, from a secret: "
           "env: [{name: DATABASE_URL, valueFrom: {secretKeyRef: {name: my-db, key: uri}}}]. Other sources, first "
           "that is set: --database-url-env, --database-url-file, the environment's block in lockkeeper.yaml, "
           "LOCKKEEPER_DATABASE_URL, LOCKKEEPER_DATABASE_URL_FILE, DIRECT_URL, DATABASE_URL, DATABASE_URL_FILE, "
           "PGHOST and the other PG* variables.",
       .detail = {},
       .sqlstate = {},
       .where = {},
       .excerpt = {}});
}

}  // namespace

std::optional<DatabaseSource> choose_database_source(const std::vector<Given>& given, const Environment& environment) {
  for (const Layer layer : {Layer::flag, Layer::environment_block}) {
    if (auto source = source_of_layer(given, layer)) {
      return source;
    }
  }
  if (find_variable(environment, "LOCKKEEPER_DATABASE_URL")) {
    return variable_source("LOCKKEEPER_DATABASE_URL");
  }
  for (const Layer layer : {Layer::variable, Layer::file}) {
    if (auto source = source_of_layer(given, layer)) {
      return source;
    }
  }
  return source_of_variables(environment);
}

DatabaseAddress read_database_address(const DatabaseSource& source, const Environment& environment) {
  switch (source.kind) {
    case Kind::pg_variables: return address_from_pg_variables(environment);
    case Kind::variable: {
      const auto value = find_variable(environment, source.name);
      if (!value) {
        throw util::Error(util::Outcome::config, fmt::format("{} is not set or empty", source.description),
                          "It was named as the place of the database URL, so no other place is tried.");
      }
      return parse_database_url(*value, source.description);
    }
    case Kind::file: {
      const std::string text = read_text_file(source.name, source.description, k_max_url_file_bytes);
      if (util::trim(text).empty()) {
        throw util::Error(util::Outcome::config, fmt::format("{} is empty", source.description),
                          "It must hold the database URL.");
      }
      return parse_database_url(text, source.description);
    }
  }
  throw_nothing_set();
}

DatabaseAddress read_database_address(const std::optional<DatabaseSource>& source, const Environment& environment) {
  if (!source) {
    throw_nothing_set();
  }
  return read_database_address(*source, environment);
}

}  // namespace lockkeeper::config
