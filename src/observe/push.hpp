/// \file
/// Where metrics go: a Prometheus Pushgateway, VictoriaMetrics, or an OTLP receiver such as Prometheus itself.
///
/// Why not prometheus-cpp's Gateway: docs/decisions/0002-own-push.md. One bounded request a target (http.hpp).
/// Sources: https://github.com/prometheus/pushgateway#api,
/// https://docs.victoriametrics.com/#how-to-import-data-in-prometheus-exposition-format
#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "observe/http.hpp"
#include "util/clock.hpp"
#include "util/secret.hpp"

namespace lockkeeper::observe {

enum class TargetKind { pushgateway, victoria_metrics, otlp };
/// By the URL's path alone: it ends in /api/v1/import/prometheus -> victoria_metrics, in /v1/metrics -> otlp
/// (Prometheus: /api/v1/otlp/v1/metrics); anything else is a Pushgateway's base URL.
TargetKind kind_of(const std::string& url);

struct PushTarget {
  std::string url;  ///< http or https; a path in it is kept; user:password@ in it is used and never shown
  std::string job;  ///< for a Pushgateway: the other kinds have it in the body
  std::vector<std::pair<std::string, std::string>>
      labels;  ///< the rest of the group key, in order; empty values left out
  util::Secret password;
  std::string username;            ///< basic auth; goes before the URL's
  util::Secret bearer_token;       ///< goes before basic auth
  std::string ca_file;             ///< PEM; empty = the system's
  std::string client_certificate;  ///< PEM; empty = none
  std::string client_key;          ///< PEM; empty = in client_certificate
  util::Duration connect_timeout{2000};
  util::Duration timeout{5000};  ///< in all, connecting and a second attempt included; zero means the default
  /// When it becomes true the push ends within 50 ms, with a warning. May be null.
  const std::atomic<bool>* stop = nullptr;
};

enum class PushMode {
  replace,  ///< PUT: the group holds afterwards what was sent and nothing else
  merge,    ///< POST: only metrics of the same names are replaced
};

/// "/metrics/job/lockkeeper/namespace/shop/database/app". Values that are not plain URL characters become
/// name@base64/value, as the Pushgateway's README describes.
std::string group_path(const std::string& job, const std::vector<std::pair<std::string, std::string>>& labels);

/// Sends \p body, which is of the form that the target's kind takes, within PushTarget::timeout. The mode is for a
/// Pushgateway: the others have no groups to replace.
/// \return a warning (lower case, no full stop) when it was not accepted: names host and port and what the server said,
/// never a credential. Does not throw for anything that the URL, the network or the server can do.
std::optional<std::string> push(const PushTarget& target, PushMode mode, const std::string& body);

}  // namespace lockkeeper::observe
