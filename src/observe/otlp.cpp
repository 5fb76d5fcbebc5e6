#include "observe/otlp.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <type_traits>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "observe/http.hpp"
#include "observe/terminal.hpp"
#include "util/text.hpp"

namespace lockkeeper::observe {

namespace {

using Json = nlohmann::ordered_json;

constexpr util::Duration k_longest_timeout{10'000};
constexpr int k_status_error = 2;               ///< Status.StatusCode.STATUS_CODE_ERROR
constexpr std::size_t k_rejection_limit = 300;  ///< bytes shown of what a receiver says

// --- bodies: the JSON mapping of proto3 ------------------------------------------------------------------------------

/// Text in which bytes that are not UTF-8 become U+FFFD: a receiver would refuse the whole body.
std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// 64-bit integers are strings in JSON.
std::string nanoseconds(util::WallTime time) {
  return std::to_string(std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count());
}

Json any_value(const AttributeValue& value) {
  return std::visit(
      [](const auto& held) -> Json {
        using Held = std::decay_t<decltype(held)>;
        if constexpr (std::is_same_v<Held, bool>) {
          return {{"boolValue", held}};
        } else if constexpr (std::is_same_v<Held, std::int64_t>) {
          return {{"intValue", std::to_string(held)}};
        } else if constexpr (std::is_same_v<Held, double>) {
          return {{"doubleValue", held}};
        } else {
          return {{"stringValue", held}};
        }
      },
      value);
}

void put(Json& attributes, std::string_view key, const AttributeValue& value) {
  attributes.push_back({{"key", key}, {"value", any_value(value)}});
}

Json json_of(const Attributes& attributes) {
  Json list = Json::array();
  for (const auto& [key, value] : attributes) {
    put(list, key, value);
  }
  return list;
}

void put_labels(Json& attributes, const MetricLabels& labels) {
  for (const auto& [name, value] : labels) {
    if (!value.empty()) {
      put(attributes, name, value);
    }
  }
}

bool names(const MetricLabels& labels, std::string_view name) {
  return std::any_of(labels.begin(), labels.end(), [name](const auto& label) { return label.first == name; });
}

Json json_of(const OtlpResource& resource) {
  Json attributes = Json::array();
  put(attributes, "service.name", resource.service_name);
  if (!names(resource.attributes, "service.version")) {
    put(attributes, "service.version", resource.version);
  }
  MetricLabels others = resource.attributes;
  std::erase_if(others, [](const auto& attribute) { return attribute.first == "service.name"; });
  put_labels(attributes, others);
  return {{"attributes", attributes}};
}

Json scope_of(const OtlpResource& resource) {
  return {{"name", "lockkeeper"}, {"version", resource.version}};
}

Json json_of(const Family& family, const Json& labels, const std::string& time) {
  Json points = Json::array();
  for (const Sample& sample : family.samples) {
    Json attributes = labels;
    if (!family.label.empty() && !sample.label_value.empty()) {
      put(attributes, family.label, sample.label_value);
    }
    points.push_back({{"attributes", attributes}, {"timeUnixNano", time}, {"asDouble", sample.value}});
  }
  return {{"name", family.name}, {"description", family.help}, {"gauge", {{"dataPoints", points}}}};
}

Json json_of(const SpanEvent& event) {
  return {{"timeUnixNano", nanoseconds(event.at)}, {"name", event.name}, {"attributes", json_of(event.attributes)}};
}

Json json_of(const Span& span) {
  Json json = {{"traceId", span.trace_id}, {"spanId", span.span_id}};
  if (!span.trace_state.empty()) {
    json["traceState"] = span.trace_state;
  }
  if (!span.parent.empty()) {
    json["parentSpanId"] = span.parent;
  }
  json["name"] = span.name;
  json["kind"] = static_cast<int>(span.kind);
  json["startTimeUnixNano"] = nanoseconds(span.start);
  json["endTimeUnixNano"] = nanoseconds(span.end);
  json["attributes"] = json_of(span.attributes);
  if (!span.events.empty()) {
    json["events"] = Json::array();
    for (const SpanEvent& event : span.events) {
      json["events"].push_back(json_of(event));
    }
  }
  if (span.error) {
    json["status"] = {{"message", span.error_message}, {"code", k_status_error}};
  }
  return json;
}

// --- the environment -------------------------------------------------------------------------------------------------

std::optional<int> hex_digit(char c) {
  constexpr std::string_view k_digits = "0123456789abcdef";
  const std::size_t digit = k_digits.find(c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c);
  return digit == std::string_view::npos ? std::nullopt : std::optional(static_cast<int>(digit));
}

std::optional<std::string> percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const auto high = i + 2 < text.size() ? hex_digit(text[i + 1]) : std::nullopt;
    const auto low = i + 2 < text.size() ? hex_digit(text[i + 2]) : std::nullopt;
    if (!high || !low) {
      return std::nullopt;
    }
    out += static_cast<char>(*high * 16 + *low);
    i += 2;
  }
  return out;
}

/// Calls \p use with each part of \p list between commas that is not empty, trimmed.
template <typename Use>
void for_each_part(std::string_view list, Use use) {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    if (const std::string_view part = util::trim(list.substr(0, comma)); !part.empty()) {
      use(part);
    }
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
  }
}

/// A name and its percent-decoded value, of "name=value"; nullopt when it is not that.
std::optional<std::pair<std::string, std::string>> key_and_value(std::string_view part) {
  const std::size_t equals = part.find('=');
  if (equals == std::string_view::npos) {
    return std::nullopt;
  }
  auto key = percent_decoded(util::trim(part.substr(0, equals)));
  auto value = percent_decoded(util::trim(part.substr(equals + 1)));
  if (!key || key->empty() || !value) {
    return std::nullopt;
  }
  return std::pair(std::move(*key), std::move(*value));
}

/// What may stand in a header: a token, and a value that cannot end the line (RFC 9110, section 5.5 and 5.6.2).
bool is_header(const std::string& name, const std::string& value) {
  const auto token = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  };
  const auto in_value = [](char c) { return c == '\t' || (static_cast<unsigned char>(c) >= ' ' && c != '\x7f'); };
  return std::all_of(name.begin(), name.end(), token) && std::all_of(value.begin(), value.end(), in_value) &&
         !value.empty();
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return text;
}

/// Reads the variables into OtlpSettings, in the order in which they decide something.
class Reader {
 public:
  explicit Reader(const Lookup& variable) : m_variable(variable) {}

  OtlpSettings read() {
    if (is_disabled()) {
      return std::move(m_settings);
    }
    read_resource();
    const Found endpoint = signal("ENDPOINT");
    if (endpoint.value.empty() || !exports_traces() || !speaks_http()) {
      return std::move(m_settings);
    }
    m_settings.traces_url = endpoint.value;
    if (!endpoint.of_traces) {  // the signal's own variable is the whole URL
      while (m_settings.traces_url.ends_with('/')) {
        m_settings.traces_url.pop_back();
      }
      m_settings.traces_url += "/v1/traces";
    }
    read_headers();
    read_timeout();
    m_settings.ca_file = signal("CERTIFICATE").value;
    m_settings.client_certificate = signal("CLIENT_CERTIFICATE").value;
    m_settings.client_key = signal("CLIENT_KEY").value;
    return std::move(m_settings);
  }

 private:
  struct Found {
    std::string name;
    std::string value;  ///< empty = not set
    bool of_traces = false;
  };

  [[nodiscard]] std::string value(std::string_view name) const {
    return std::string(util::trim(m_variable(name).value_or("")));
  }
  /// OTEL_EXPORTER_OTLP_TRACES_..., else OTEL_EXPORTER_OTLP_...
  [[nodiscard]] Found signal(std::string_view what) const {
    Found found{.name = fmt::format("OTEL_EXPORTER_OTLP_TRACES_{}", what), .value = {}, .of_traces = true};
    found.value = value(found.name);
    if (found.value.empty()) {
      found = {.name = fmt::format("OTEL_EXPORTER_OTLP_{}", what), .value = {}};
      found.value = value(found.name);
    }
    return found;
  }
  void warn(std::string text) { m_settings.warnings.push_back(std::move(text)); }

  bool is_disabled() {
    const std::string text = lower(value("OTEL_SDK_DISABLED"));
    if (!text.empty() && text != "true" && text != "false") {
      warn("OTEL_SDK_DISABLED is neither true nor false: taken for false");
    }
    return text == "true";
  }
  bool exports_traces() {
    const std::string list = lower(value("OTEL_TRACES_EXPORTER"));
    bool otlp = list.empty();
    for_each_part(list, [&otlp](std::string_view part) { otlp = otlp || part == "otlp"; });
    if (!otlp && list != "none") {
      warn(fmt::format("OTEL_TRACES_EXPORTER is {}: only otlp is known here, so no trace is sent", printable(list)));
    }
    return otlp;
  }
  bool speaks_http() {
    const Found protocol = signal("PROTOCOL");
    if (protocol.value.empty() || protocol.value == "http/json" || protocol.value == "http/protobuf") {
      return true;  // a receiver that takes one of the two takes the other at the same address
    }
    const char* advice = "no trace is sent; give http/json and the receiver's HTTP port, which often is 4318";
    warn(fmt::format("{} is {}: only OTLP over HTTP is spoken here: {}", protocol.name, printable(protocol.value),
                     advice));
    return false;
  }
  void read_resource() {
    const std::string list = value("OTEL_RESOURCE_ATTRIBUTES");
    bool valid = true;
    for_each_part(list, [&](std::string_view part) {
      auto attribute = key_and_value(part);
      valid = valid && attribute.has_value();
      if (attribute) {
        m_settings.resource_attributes.push_back(std::move(*attribute));
      }
    });
    if (!valid) {  // the specification asks to drop all of it then
      warn("OTEL_RESOURCE_ATTRIBUTES is not a list of name=value, with % for special characters: not used");
      m_settings.resource_attributes.clear();
    }
    take_service_name();
  }
  void take_service_name() {
    std::erase_if(m_settings.resource_attributes, [this](const auto& attribute) {
      const bool is_name = attribute.first == "service.name";
      if (is_name && !attribute.second.empty()) {
        m_settings.service_name = attribute.second;
      }
      return is_name;
    });
    if (std::string name = value("OTEL_SERVICE_NAME"); !name.empty()) {
      m_settings.service_name = std::move(name);
    }
  }
  void read_headers() {
    const Found headers = signal("HEADERS");
    std::size_t number = 0;
    for_each_part(headers.value, [&](std::string_view part) {
      ++number;
      auto header = key_and_value(part);
      if (!header || !is_header(header->first, header->second)) {
        warn(fmt::format("{}: entry {} is not name=value of a header: not sent", headers.name, number));
        return;
      }
      m_settings.headers.emplace_back(std::move(header->first), util::Secret(std::move(header->second)));
    });
  }
  void read_timeout() {
    const Found timeout = signal("TIMEOUT");
    if (timeout.value.empty()) {
      return;
    }
    const char* const last = timeout.value.data() + timeout.value.size();
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(timeout.value.data(), last, number);
    if (error != std::errc() || end != last || number <= 0) {
      warn(fmt::format("{} is not a number of milliseconds: {} is used", timeout.name, m_settings.timeout.count()));
      return;
    }
    if (number > k_longest_timeout.count()) {
      warn(fmt::format("{} is longer than a run waits for its trace: {} ms are used", timeout.name,
                       k_longest_timeout.count()));
    }
    m_settings.timeout = std::min(util::Duration(number), k_longest_timeout);
  }

  const Lookup& m_variable;
  OtlpSettings m_settings;
};

/// A count that JSON has as a number or, being 64 bits wide, as a string.
std::int64_t count_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end()) {
    return 0;
  }
  if (found->is_number_integer()) {
    return found->get<std::int64_t>();
  }
  std::int64_t number = 0;
  if (found->is_string()) {
    const std::string text = found->get<std::string>();
    static_cast<void>(std::from_chars(text.data(), text.data() + text.size(), number));
  }
  return number;
}

}  // namespace

std::string otlp_metrics(const std::vector<Family>& families, const MetricLabels& labels, const OtlpResource& resource,
                         util::WallTime now) {
  Json shared = Json::array();
  put_labels(shared, labels);
  Json metrics = Json::array();
  for (const Family& family : families) {
    if (!family.samples.empty()) {
      metrics.push_back(json_of(family, shared, nanoseconds(now)));
    }
  }
  const Json scope = {{"scope", scope_of(resource)}, {"metrics", metrics}};
  const Json all = {{"resource", json_of(resource)}, {"scopeMetrics", Json::array({scope})}};
  return dump({{"resourceMetrics", Json::array({all})}});
}

std::string otlp_traces(const std::vector<Span>& spans, const OtlpResource& resource) {
  Json list = Json::array();
  for (const Span& span : spans) {
    list.push_back(json_of(span));
  }
  const Json scope = {{"scope", scope_of(resource)}, {"spans", list}};
  const Json all = {{"resource", json_of(resource)}, {"scopeSpans", Json::array({scope})}};
  return dump({{"resourceSpans", Json::array({all})}});
}

OtlpSettings otlp_settings(const Lookup& variable) {
  return Reader(variable).read();
}

std::string rejected_part(const std::string& answer) {
  const Json json = Json::parse(answer, nullptr, false);
  if (!json.is_object() || !json.contains("partialSuccess") || !json["partialSuccess"].is_object()) {
    return {};
  }
  const Json& partial = json["partialSuccess"];
  const std::int64_t points = count_of(partial, "rejectedDataPoints");
  const std::int64_t spans = count_of(partial, "rejectedSpans");
  if (points <= 0 && spans <= 0) {
    return {};
  }
  const std::string what = points > 0 ? counted(static_cast<std::size_t>(points), "data point")
                                      : counted(static_cast<std::size_t>(spans), "span");
  const auto words = partial.find("errorMessage");
  const bool reason = words != partial.end() && words->is_string();
  return what + " rejected" +
         (reason ? ": " + util::shorten(printable(words->get<std::string>()), k_rejection_limit) : std::string());
}

std::optional<std::string> send_traces(const OtlpSettings& settings, const std::string& body,
                                       const std::atomic<bool>* stop) {
  if (settings.traces_url.empty()) {
    return std::nullopt;
  }
  const HttpAnswer answer = send_request({.url = settings.traces_url,
                                          .content_type = "application/json",
                                          .headers = settings.headers,
                                          .body = body,
                                          .ca_file = settings.ca_file,
                                          .client_certificate = settings.client_certificate,
                                          .client_key = settings.client_key,
                                          .timeout = settings.timeout,
                                          .stop = stop});
  if (answer.address.empty()) {
    return "trace not sent: the endpoint cannot be used: " + answer.problem;
  }
  if (!answer.delivered) {
    return fmt::format("trace not sent to {}: {}", answer.address, answer.problem);
  }
  if (const std::string rejected = rejected_part(answer.body); !rejected.empty()) {
    return fmt::format("trace not taken in full by {}: {}", answer.address, rejected);
  }
  return std::nullopt;
}

}  // namespace lockkeeper::observe
