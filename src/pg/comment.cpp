#include "pg/comment.hpp"

#include <fmt/format.h>

namespace lockkeeper::pg {

namespace {

/// Nothing is left that could end the comment or the value.
std::string encoded(std::string_view value) {
  std::string text;
  for (const char c : value) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '_' || c == '.' || c == '~';
    text += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return text;
}

}  // namespace

std::string statement_comment(std::string_view tool_version, std::string_view migration, std::string_view traceparent) {
  std::string comment = fmt::format("{},migration='{}'", k_comment_begin, encoded(migration));
  if (!traceparent.empty()) {
    comment += fmt::format(",traceparent='{}'", encoded(traceparent));
  }
  return comment + fmt::format(",version='{}'*/", encoded(tool_version));
}

}  // namespace lockkeeper::pg
