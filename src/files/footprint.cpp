#include "files/footprint.hpp"

#include <array>
#include <optional>
#include <string>
#include <utility>

#include "files/words.hpp"

namespace lockkeeper::files {

namespace {

using core::Footprint;
using core::ObjectName;
using Kind = core::Footprint::Kind;

void skip_existence(Cursor& at) {
  if (at.skip("IF")) {
    at.skip("NOT");
    at.skip("EXISTS");
  }
}

/// INDEX CONCURRENTLY [[IF NOT EXISTS] name] ON [ONLY] [schema.]table [*] definition
Footprint read_create_index(Cursor& at) {
  Footprint found{.kind = Kind::create_index};
  found.unique = at.skip("UNIQUE");
  at.skip("INDEX");
  at.skip("CONCURRENTLY");
  if (!at.is("ON")) {
    std::optional<ObjectName> name = at.object_name();
    if (name && name->name == "if" && at.skip("NOT")) {  // an index may be called "if"
      at.skip("EXISTS");
      found.if_not_exists = true;
      name = at.object_name();
    }
    if (!name) {
      return {};
    }
    found.object.name = std::move(name->name);
  }
  if (!at.skip("ON")) {
    return {};
  }
  at.skip("ONLY");
  std::optional<ObjectName> table = at.object_name();
  if (!table) {
    return {};
  }
  if (at.text() == "*") {
    at.next();
  }
  found.object.schema = table->schema;  // an index lives in its table's schema; its own name never has one
  found.table = std::move(*table);
  found.definition = at.rest();
  return found;
}

/// [(options)] {INDEX | TABLE | SCHEMA | DATABASE | SYSTEM} [CONCURRENTLY] name
Footprint read_reindex(Cursor& at) {
  at.skip_parentheses();
  const bool is_index = at.skip("INDEX");
  if (!is_index && !at.skip("TABLE")) {
    return {.kind = Kind::repeatable};
  }
  at.skip("CONCURRENTLY");
  std::optional<ObjectName> name = at.object_name();
  if (!name) {
    return {};
  }
  return {.kind = is_index ? Kind::reindex_index : Kind::reindex_table, .object = std::move(*name)};
}

/// [IF EXISTS] [ONLY] table [*] DETACH PARTITION partition
Footprint read_detach(Cursor& at) {
  skip_existence(at);
  at.skip("ONLY");
  std::optional<ObjectName> table = at.object_name();
  if (at.text() == "*") {
    at.next();
  }
  if (!table || !at.skip("DETACH") || !at.skip("PARTITION")) {
    return {};
  }
  std::optional<ObjectName> partition = at.object_name();
  if (!partition) {
    return {};
  }
  return {.kind = Kind::detach_partition, .object = std::move(*partition), .table = std::move(*table)};
}

Footprint read_named(Cursor& at, Kind kind) {
  skip_existence(at);
  std::optional<ObjectName> name = at.object_name();
  if (!name) {
    return {};
  }
  return {.kind = kind, .object = std::move(*name)};
}

/// name {REFRESH PUBLICATION | SET ...}: the same when repeated; ADD and DROP PUBLICATION would fail.
Footprint read_alter_subscription(Cursor& at) {
  const bool named = at.object_name().has_value();
  return {.kind = named && (at.is("REFRESH") || at.is("SET")) ? Kind::repeatable : Kind::unknown};
}

}  // namespace

Footprint read_footprint(std::string_view sql, std::string_view kind) {
  constexpr std::array<std::string_view, 6> k_repeatable = {"VACUUM",  "ALTER SYSTEM", "ALTER DATABASE",
                                                            "CLUSTER", "DISCARD",      "REPACK"};
  constexpr std::array<std::pair<std::string_view, Kind>, 6> k_named = {{
      {"CREATE DATABASE", Kind::create_database},
      {"DROP DATABASE", Kind::drop_database},
      {"CREATE TABLESPACE", Kind::create_tablespace},
      {"DROP TABLESPACE", Kind::drop_tablespace},
      {"CREATE SUBSCRIPTION", Kind::create_subscription},
      {"DROP SUBSCRIPTION", Kind::drop_subscription},
  }};
  if (contains(k_repeatable, kind)) {
    return {.kind = Kind::repeatable};
  }
  Cursor at(sql);
  at.next();  // the verb
  if (kind == "CREATE INDEX CONCURRENTLY") {
    return read_create_index(at);
  }
  if (kind.starts_with("REINDEX")) {
    return read_reindex(at);
  }
  at.next();  // INDEX, TABLE, DATABASE ...
  if (kind == "DROP INDEX CONCURRENTLY") {
    at.skip("CONCURRENTLY");
    return read_named(at, Kind::drop_index);
  }
  if (kind == "ALTER TABLE") {
    return read_detach(at);
  }
  if (kind == "ALTER SUBSCRIPTION") {
    return read_alter_subscription(at);
  }
  for (const auto& [name, named] : k_named) {
    if (kind == name) {
      return read_named(at, named);
    }
  }
  return {};
}

}  // namespace lockkeeper::files
