#include "core/expectation.hpp"

namespace lockkeeper::core {

std::string quote_identifier(std::string_view name) {
  std::string quoted = "\"";
  for (const char c : name) {
    quoted += c;
    if (c == '"') {
      quoted += c;
    }
  }
  return quoted + '"';
}

std::string ObjectName::quoted() const {
  return schema.empty() ? quote_identifier(name) : quote_identifier(schema) + "." + quote_identifier(name);
}

std::string Expectation::subject() const {
  switch (kind) {
    case Kind::column: return "column " + object.str() + "." + member;
    case Kind::table: return "table " + object.str();
    case Kind::index: return "index " + object.str();
    case Kind::constraint: return "constraint " + member + " on " + object.str();
    case Kind::enum_type: return "enum " + object.str();
    case Kind::sql: return "sql \"" + member + "\"";
  }
  return {};
}

}  // namespace lockkeeper::core
