#include "config/option_value.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "util/duration.hpp"
#include "util/text.hpp"

namespace lockkeeper::config {
namespace {

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(), is_control);
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), [](char c) { return lower(c); });
  return result;
}

bool is_name_start(char c) {
  return (lower(c) >= 'a' && lower(c) <= 'z') || c == '_';
}

ParsedValue problem(const OptionRow& option, std::string_view text) {
  return {std::nullopt, fmt::format("expected {}, not {}", expected_form(option), shown(text)), {}};
}

ParsedValue good(OptionValue value) {
  return {std::move(value), {}, {}};
}

ParsedValue parse_duration_value(const OptionRow& option, std::string_view text) {
  const auto duration = util::parse_duration(text);
  if (!duration || (option.positive && duration->count() == 0)) {
    return problem(option, text);
  }
  return good({.duration = *duration});
}

ParsedValue parse_boolean_value(const OptionRow& option, Layer layer, std::string_view text) {
  const bool digits = layer == Layer::variable;
  if (text == "true" || (digits && text == "1")) {
    return good({.boolean = true});
  }
  if (text == "false" || (digits && text == "0")) {
    return good({.boolean = false});
  }
  return problem(option, text);
}

ParsedValue parse_choice_value(const OptionRow& option, std::string_view text) {
  // What reads YAML 1.1 on the way here, as Helm does, makes true and false of on and off.
  const bool is_switch = option.choices.front() == "on";
  const std::string_view meant = !is_switch || (text != "true" && text != "false") ? text
                                 : text == "true"                                  ? "on"
                                                                                   : "off";
  const auto found = std::find(option.choices.begin(), option.choices.end(), meant);
  if (found == option.choices.end()) {
    return problem(option, text);
  }
  return good({.text = std::string(meant), .choice = static_cast<std::size_t>(found - option.choices.begin())});
}

ParsedValue parse_path_value(const OptionRow& option, std::string_view text) {
  if (text.find("://") == std::string_view::npos) {
    return good({.text = std::string(text)});
  }
  auto result = problem(option, text);
  result.hint =
      option.name == "database-url-file"
          ? "This looks like the URL itself: put it into DATABASE_URL, or into a file and name that file here."
          : "This looks like a URL; a path is needed here.";
  return result;
}

ParsedValue check_url(const OptionRow& option, std::string_view text) {
  constexpr std::string_view k_http = "http://";
  constexpr std::string_view k_https = "https://";
  std::string_view rest;
  if (text.starts_with(k_http)) {
    rest = text.substr(k_http.size());
  } else if (text.starts_with(k_https)) {
    rest = text.substr(k_https.size());
  }
  const std::string_view authority = rest.substr(0, rest.find('/'));
  if (authority.find('@') != std::string_view::npos) {
    return {std::nullopt, "expected a URL without user and password",
            "Use metrics-username with metrics-password-file, or metrics-bearer-token-file."};
  }
  if (authority.empty() || text.find_first_of(" ?#") != std::string_view::npos) {
    return problem(option, text);
  }
  return good({.text = std::string(text)});
}

/// Commas stand between URLs in every layer. An empty text is none.
ParsedValue parse_urls_value(const OptionRow& option, const std::vector<std::string>& texts) {
  OptionValue value;
  for (const std::string& text : texts) {
    if (text.empty() && option.clearable) {
      continue;
    }
    for (std::string_view rest = text;;) {
      const std::size_t comma = rest.find(',');
      const std::string_view item = util::trim(rest.substr(0, comma));
      if (has_control(item)) {
        return problem(option, text);
      }
      if (ParsedValue checked = check_url(option, item); !checked.value) {
        return checked;
      }
      value.list.emplace_back(item);
      if (comma == std::string_view::npos) {
        break;
      }
      rest = rest.substr(comma + 1);
    }
  }
  return good(std::move(value));
}

/// One part of SCHEMA.TABLE at the front of \p rest, which is cut; empty when there is none.
std::string take_identifier(std::string_view& rest) {
  std::string part;
  if (rest.starts_with('"')) {
    std::size_t at = 1;
    for (; at < rest.size(); ++at) {
      if (rest[at] == '"' && rest.substr(at + 1).starts_with('"')) {
        ++at;
      } else if (rest[at] == '"') {
        break;
      }
      part += rest[at];
    }
    if (at >= rest.size()) {
      return {};  // the quote is not closed
    }
    rest.remove_prefix(at + 1);
    return part;
  }
  // Unquoted names are folded to lower case, as PostgreSQL does; bytes above ASCII are letters to it.
  std::size_t at = 0;
  for (; at < rest.size(); ++at) {
    const char c = rest[at];
    const bool letter = is_name_start(c) || static_cast<unsigned char>(c) >= 0x80;
    if (!letter && (at == 0 || (!is_digit(c) && c != '$'))) {
      break;
    }
    part += lower(c);
  }
  rest.remove_prefix(at);
  return part;
}

ParsedValue parse_table_name_value(const OptionRow& option, std::string_view text) {
  constexpr std::size_t k_max_identifier = 63;  // NAMEDATALEN - 1; the server would cut longer ones silently
  std::string_view rest = text;
  std::string schema = take_identifier(rest);
  const bool dot = rest.starts_with('.');
  rest.remove_prefix(dot ? 1 : 0);
  std::string table = take_identifier(rest);
  if (!dot || !rest.empty() || schema.empty() || table.empty() || schema.size() > k_max_identifier ||
      table.size() > k_max_identifier) {
    return problem(option, text);
  }
  return good({.list = {std::move(schema), std::move(table)}});
}

ParsedValue parse_variable_name_value(const OptionRow& option, std::string_view text) {
  const auto fits = [](char c) { return is_name_start(c) || is_digit(c); };
  if (!is_name_start(text.front()) || !std::all_of(text.begin(), text.end(), fits)) {
    // Whatever stands here could be the URL or the password itself.
    return {std::nullopt, fmt::format("expected {}, not a value", expected_form(option)), {}};
  }
  return good({.text = std::string(text)});
}

ParsedValue parse_count_value(const OptionRow& option, std::string_view text) {
  constexpr std::size_t k_most = 100'000;
  std::size_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc() || end != text.data() + text.size() || count > k_most) {
    return problem(option, text);
  }
  return good({.count = count});
}

ParsedValue parse_version_value(const OptionRow& option, std::string_view text) {
  constexpr std::size_t k_max_digits = 100;
  if (text.size() > k_max_digits || !std::all_of(text.begin(), text.end(), is_digit)) {
    return problem(option, text);
  }
  return good({.text = std::string(text)});
}

ParsedValue parse_list_value(const OptionRow& option, Layer layer, const std::vector<std::string>& texts) {
  OptionValue value;
  const bool split = layer == Layer::flag || layer == Layer::variable;
  for (const std::string& text : texts) {
    std::string_view rest = text;
    while (!rest.empty()) {
      const std::size_t comma = split ? rest.find(',') : std::string_view::npos;
      const std::string_view item = util::trim(rest.substr(0, comma));
      if (item.empty() || has_control(item)) {
        return problem(option, text);
      }
      value.list.emplace_back(item);
      rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
    }
  }
  return good(std::move(value));
}

ParsedValue parse_single_value(const OptionRow& option, Layer layer, std::string_view text) {
  if (text.empty()) {
    return option.clearable ? good({}) : problem(option, text);
  }
  if (has_control(text)) {
    return problem(option, text);
  }
  switch (option.type) {
    case ValueType::text: return good({.text = std::string(text)});
    case ValueType::path: return parse_path_value(option, text);
    case ValueType::duration: return parse_duration_value(option, text);
    case ValueType::boolean: return parse_boolean_value(option, layer, text);
    case ValueType::choice: return parse_choice_value(option, text);
    case ValueType::table_name: return parse_table_name_value(option, text);
    case ValueType::variable_name: return parse_variable_name_value(option, text);
    case ValueType::urls: return parse_urls_value(option, {std::string(text)});
    case ValueType::version: return parse_version_value(option, text);
    case ValueType::count: return parse_count_value(option, text);
    case ValueType::list: return parse_list_value(option, layer, {std::string(text)});
  }
  return problem(option, text);
}

}  // namespace

std::string expected_form(const OptionRow& option) {
  switch (option.type) {
    case ValueType::text: return "text on one line";
    case ValueType::path: return "a path";
    case ValueType::duration:
      return option.positive ? "a duration longer than 0 such as 500ms, 5s, 10m or 1h"
                             : "a duration such as 500ms, 5s, 10m or 1h, or 0";
    case ValueType::boolean: return "true or false";
    case ValueType::choice:
      return fmt::format("{} or {}", fmt::join(option.choices.first(option.choices.size() - 1), ", "),
                         option.choices.back());
    case ValueType::list: return "a list of names";
    case ValueType::table_name: return "SCHEMA.TABLE such as lockkeeper.history or \"Ops\".history";
    case ValueType::variable_name: return "the name of an environment variable such as APP_DATABASE_URL";
    case ValueType::urls: return "a URL such as http://pushgateway:9091";
    case ValueType::version: return "a version such as 20250520000000";
    case ValueType::count: return "a count from 0 to 100000 such as 20";
  }
  return {};
}

std::string shown(std::string_view value) {
  constexpr std::size_t k_max_shown = 60;
  const std::string folded = lower(value);
  const auto has = [&](std::string_view part) { return folded.find(part) != std::string::npos; };
  const bool web = folded.starts_with("http://") || folded.starts_with("https://");
  if (has("@") || has("passw") || has("pwd") || (has("://") && !web)) {
    return "what stands there (not shown: it could hold a password)";
  }
  std::string text(value);
  std::replace_if(text.begin(), text.end(), is_control, ' ');
  return fmt::format("\"{}\"", util::shorten(text, k_max_shown));
}

ParsedValue parse_value(const OptionRow& option, Layer layer, const std::vector<std::string>& texts) {
  if (option.type == ValueType::list) {
    return parse_list_value(option, layer, texts);
  }
  if (option.type == ValueType::urls) {
    return parse_urls_value(option, texts);
  }
  if (texts.empty()) {
    return option.type == ValueType::boolean ? good({.boolean = true}) : problem(option, {});
  }
  return parse_single_value(option, layer, texts.back());
}

Given make_given(const OptionRow& option, Layer layer, const std::vector<std::string>& texts, std::string source) {
  ParsedValue parsed = parse_value(option, layer, texts);
  if (!parsed.value) {
    const auto outcome = layer == Layer::flag ? util::Outcome::usage : util::Outcome::config;
    throw util::Error(outcome, fmt::format("{}: {}", source, parsed.problem), parsed.hint);
  }
  const bool several = option.type == ValueType::list || option.type == ValueType::urls;
  const std::string text = option.type == ValueType::boolean && texts.empty() ? "true"
                           : several                                          ? fmt::format("{}", fmt::join(texts, ","))
                                                                              : texts.back();
  return {&option, layer, std::move(*parsed.value), text, std::move(source)};
}

}  // namespace lockkeeper::config
