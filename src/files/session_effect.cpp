#include "files/session_effect.hpp"

#include <array>
#include <optional>

#include "files/words.hpp"

namespace lockkeeper::files {

namespace {

bool may_mention(std::string_view sql, std::string_view upper) {
  return std::search(sql.begin(), sql.end(), upper.begin(), upper.end(),
                     [](char a, char b) { return (a >= 'a' && a <= 'z' ? a - 'a' + 'A' : a) == b; }) != sql.end();
}

/// \p words follow each other somewhere in \p sql.
template <std::size_t Size>
bool has_sequence(std::string_view sql, const std::array<std::string_view, Size>& words) {
  std::size_t matched = 0;
  for (Cursor at(sql); !at.at_end(); at.next()) {
    matched = at.is(words[matched]) ? matched + 1 : (at.is(words[0]) ? 1 : 0);
    if (matched == Size) {
      return true;
    }
  }
  return false;
}

/// The arguments of a call, \p at its parenthesis: whether the last one is anything but true.
bool lasts_beyond_transaction(Cursor at) {
  std::size_t depth = 0;
  std::string last;
  for (; !at.at_end(); at.next()) {
    if (at.kind() == Token::Kind::close && --depth == 0) {
      break;
    }
    if (at.kind() == Token::Kind::open) {
      ++depth;
    } else if (depth == 1 && at.text() == ",") {
      last.clear();
      continue;
    }
    if (depth > 1 || at.kind() != Token::Kind::open) {
      last += to_upper(at.text()) + ' ';
    }
  }
  return last != "TRUE " && last != "'TRUE' " && last != "'T' " && last != "'ON' ";
}

/// Calls of set_config(.., false) and of the functions for session advisory locks. \p in_strings: the body of a DO.
std::string effect_of_calls(std::string_view sql, bool in_strings) {
  if (!may_mention(sql, "SET_CONFIG") && !may_mention(sql, "ADVISORY_")) {
    return {};
  }
  Cursor at(sql);
  while (!at.at_end()) {
    if (in_strings && at.kind() == Token::Kind::string) {
      if (std::string effect = effect_of_calls(inside_of_string(at.text()), false); !effect.empty()) {
        return effect;
      }
    }
    const bool named = at.kind() == Token::Kind::word || at.kind() == Token::Kind::name;
    const std::string name = named ? name_of(at.text()).value_or("") : std::string();
    at.next();
    if (at.kind() != Token::Kind::open) {
      continue;
    }
    if (name.starts_with("pg_advisory_lock") || name.starts_with("pg_try_advisory_lock") ||
        name.starts_with("pg_advisory_unlock")) {
      return "a session advisory lock";
    }
    if (name == "set_config" && lasts_beyond_transaction(at)) {
      return "SET";
    }
  }
  return {};
}

/// CREATE [OR REPLACE] [LOCAL | GLOBAL] TEMP[ORARY] ... or CREATE ... pg_temp.name; or SELECT ... INTO TEMP.
bool creates_temporary(std::string_view sql, std::string_view kind) {
  if (kind == "SELECT") {
    return may_mention(sql, "TEMP") &&
           (has_sequence<2>(sql, {"INTO", "TEMP"}) || has_sequence<2>(sql, {"INTO", "TEMPORARY"}));
  }
  if (!kind.starts_with("CREATE ")) {
    return false;
  }
  Cursor at(sql);
  at.next();
  while (at.skip("OR") || at.skip("REPLACE") || at.skip("LOCAL") || at.skip("GLOBAL")) {
  }
  if (at.is("TEMP") || at.is("TEMPORARY")) {
    return true;
  }
  constexpr std::size_t k_near = 6;  // CREATE UNLOGGED TABLE IF NOT EXISTS pg_temp.a
  for (std::size_t i = 0; i < k_near && !at.at_end(); ++i, at.next()) {
    if (at.is("PG_TEMP")) {
      return true;
    }
  }
  return false;
}

std::string effect_of_set(std::string_view sql) {
  Cursor at(sql);
  at.next();
  return at.is("LOCAL") || at.is("TRANSACTION") || at.is("CONSTRAINTS") ? "" : "SET";
}

}  // namespace

std::string session_effect(std::string_view sql, std::string_view kind) {
  constexpr std::array<std::string_view, 7> k_always = {"RESET", "LISTEN",  "UNLISTEN",  "PREPARE",
                                                        "LOAD",  "DISCARD", "DEALLOCATE"};
  if (contains(k_always, kind)) {
    return std::string(kind);
  }
  if (kind == "SET") {
    return effect_of_set(sql);
  }
  if (kind == "DECLARE" && has_sequence<2>(sql, {"WITH", "HOLD"})) {
    return "DECLARE ... WITH HOLD";
  }
  if (creates_temporary(sql, kind) && !(kind == "CREATE TABLE" && has_sequence<3>(sql, {"ON", "COMMIT", "DROP"}))) {
    return kind == "SELECT" || kind == "CREATE TABLE" ? "a temporary table" : "a temporary object";
  }
  // What only defines such a call does not make it.
  return kind == "CREATE FUNCTION" || kind == "CREATE PROCEDURE" ? std::string() : effect_of_calls(sql, kind == "DO");
}

}  // namespace lockkeeper::files
