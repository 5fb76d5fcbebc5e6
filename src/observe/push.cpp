#include "observe/push.hpp"

#include <algorithm>
#include <cstdint>
#include <string_view>

#include <fmt/format.h>

#include "observe/otlp.hpp"

namespace lockkeeper::observe {

namespace {

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
         c == '.' || c == '~';
}

/// RFC 4648 section 5, without padding.
std::string base64url(std::string_view bytes) {
  constexpr std::string_view k_alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string out;
  std::uint32_t buffer = 0;
  unsigned bits = 0;
  for (const char c : bytes) {
    buffer = (buffer << 8U) | static_cast<unsigned char>(c);
    for (bits += 8; bits >= 6; bits -= 6) {
      out += k_alphabet[(buffer >> (bits - 6)) & 0x3FU];
    }
  }
  if (bits > 0) {
    out += k_alphabet[(buffer << (6 - bits)) & 0x3FU];
  }
  return out;
}

/// "." and ".." are plain too, but every HTTP library on the way may resolve them; an empty value would be "//".
std::string path_segment(const std::string& name, const std::string& value) {
  if (value.empty()) {
    return "/" + name + "@base64/=";  // what the README asks for
  }
  const bool plain = std::all_of(value.begin(), value.end(), is_plain) && value != "." && value != "..";
  return plain ? "/" + name + "/" + value : "/" + name + "@base64/" + base64url(value);
}

/// Without the slashes at its end.
std::string_view without_slashes(std::string_view url) {
  while (url.ends_with('/')) {
    url.remove_suffix(1);
  }
  return url;
}

constexpr const char* k_text_format = "text/plain; version=0.0.4; charset=utf-8";

HttpRequest request_for(const PushTarget& target, PushMode mode, const std::string& body) {
  HttpRequest request{.url = std::string(without_slashes(target.url)),
                      .content_type = k_text_format,
                      .body = body,
                      .username = target.username,
                      .password = target.password,
                      .bearer_token = target.bearer_token,
                      .ca_file = target.ca_file,
                      .client_certificate = target.client_certificate,
                      .client_key = target.client_key,
                      .connect_timeout = target.connect_timeout,
                      .timeout = target.timeout,
                      .stop = target.stop};
  switch (kind_of(target.url)) {
    case TargetKind::pushgateway:
      request.path = group_path(target.job, target.labels);
      request.method = mode == PushMode::replace ? "PUT" : "POST";
      break;
    case TargetKind::victoria_metrics: break;
    case TargetKind::otlp: request.content_type = "application/json"; break;
  }
  return request;
}

}  // namespace

TargetKind kind_of(const std::string& url) {
  const std::string_view path = without_slashes(std::string_view(url).substr(0, url.find_first_of("?#")));
  if (path.ends_with("/api/v1/import/prometheus")) {
    return TargetKind::victoria_metrics;
  }
  return path.ends_with("/v1/metrics") ? TargetKind::otlp : TargetKind::pushgateway;
}

std::string group_path(const std::string& job, const std::vector<std::pair<std::string, std::string>>& labels) {
  std::string path = "/metrics" + path_segment("job", job);
  for (const auto& [name, value] : labels) {
    if (!value.empty()) {
      path += path_segment(name, value);
    }
  }
  return path;
}

std::optional<std::string> push(const PushTarget& target, PushMode mode, const std::string& body) {
  if (body.empty()) {
    return "metrics not pushed: there are none";  // an empty PUT would delete the group
  }
  const HttpAnswer answer = send_request(request_for(target, mode, body));
  if (answer.address.empty()) {
    return "metrics not pushed: the metrics URL cannot be used: " + answer.problem;
  }
  if (!answer.delivered) {
    return fmt::format("metrics not pushed to {}: {}", answer.address, answer.problem);
  }
  if (kind_of(target.url) == TargetKind::otlp) {
    if (const std::string rejected = rejected_part(answer.body); !rejected.empty()) {
      return fmt::format("metrics not taken in full by {}: {}", answer.address, rejected);
    }
  }
  return std::nullopt;
}

}  // namespace lockkeeper::observe
