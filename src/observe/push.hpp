/// \file
/// One bounded HTTP request that hands the metrics to a Prometheus Pushgateway.
///
/// Why not prometheus-cpp's Gateway: docs/decisions/0002-own-push.md. Redirects are not followed. Proxies come from the
/// environment as curl reads it (http_proxy in lower case only, HTTPS_PROXY, NO_PROXY ...).
/// Source: https://github.com/prometheus/pushgateway#api
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "util/clock.hpp"
#include "util/secret.hpp"

namespace lockkeeper::observe {

struct PushTarget {
  std::string url;  ///< base URL, http or https; a path in it is kept; user:password@ in it is used and never shown
  std::string job;
  std::vector<std::pair<std::string, std::string>>
      labels;  ///< the rest of the group key, in order; empty values left out
  util::Secret password;
  std::string username;       ///< basic auth; goes before the URL's
  util::Secret bearer_token;  ///< goes before basic auth
  std::string ca_file;        ///< PEM; empty = the system's
  util::Duration connect_timeout{2000};
  util::Duration timeout{5000};  ///< in all, connecting included; never unlimited: zero means the default
};

enum class PushMode {
  replace,  ///< PUT: the group holds afterwards what was sent and nothing else
  merge,    ///< POST: only metrics of the same names are replaced
};

/// libcurl's version, as it says itself at run time: "8.14.1".
std::string libcurl_version();

/// "/metrics/job/lockkeeper/namespace/shop/database/app". Values that are not plain URL characters become
/// name@base64/value, as the Pushgateway's README describes.
std::string group_path(const std::string& job, const std::vector<std::pair<std::string, std::string>>& labels);

/// Sends \p body (Prometheus text format) in one request, within PushTarget::timeout.
/// \return a warning (lower case, no full stop) when it was not accepted: names host and port and what the server said,
/// never a credential. Does not throw for anything that the URL, the network or the server can do.
std::optional<std::string> push(const PushTarget& target, PushMode mode, const std::string& body);

}  // namespace lockkeeper::observe
