/// \file
/// One bounded HTTP request with a body: for metrics (push.hpp) and traces (otlp.hpp).
///
/// Bounded: connecting and the whole exchange have limits, name servers included; a second attempt, when there is one,
/// is made within the same limit. Redirects are not followed. Proxies come from the environment as curl reads it
/// (http_proxy in lower case only, HTTPS_PROXY, NO_PROXY ...). May be used by one thread at a time beside others that
/// do not use libcurl; call start_http() before a second thread is started.
#pragma once

#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "util/clock.hpp"
#include "util/secret.hpp"

namespace lockkeeper::observe {

struct HttpRequest {
  std::string url;   ///< http or https; user:password@ in it is used and never shown
  std::string path;  ///< appended to the URL's path, which loses the slashes at its end; empty = the URL as it is
  std::string method = "POST";
  std::string content_type;
  std::vector<std::pair<std::string, util::Secret>> headers;  ///< names and values without control characters
  std::string body;
  std::string username;  ///< basic auth; goes before the URL's
  util::Secret password;
  util::Secret bearer_token;       ///< goes before basic auth
  std::string ca_file;             ///< PEM; empty = the system's
  std::string client_certificate;  ///< PEM, with what lies between it and the server's CA; empty = none
  std::string client_key;          ///< PEM, without a password; empty = in client_certificate
  util::Duration connect_timeout{2000};
  util::Duration timeout{5000};  ///< for everything; never unlimited: zero means the default
  bool retry = true;             ///< once, when that may help (see send_request)
  /// When it becomes true the request ends within 50 ms, as not delivered. May be null.
  const std::atomic<bool>* stop = nullptr;
};

struct HttpAnswer {
  bool delivered = false;  ///< the server said 2xx
  std::string address;     ///< host:port, safe to show; empty when the URL cannot be used
  /// Why not, safe to show (lower case where it is ours, no full stop, no credentials): curl's words, or the status and
  /// the first line of what the server said.
  std::string problem;
  std::string body;  ///< of the answer, at most 4 KiB
};

/// The second attempt is made for what may be gone a moment later: no connection, one that broke, 429, 502, 503, 504;
/// after 200 ms, or the seconds of Retry-After, if that leaves time for it. Not for another status or a
/// certificate. Does not throw for anything that the URL, the network or the server can do.
HttpAnswer send_request(const HttpRequest& request);

/// Makes libcurl's process-wide state, which is not safe while other threads run. More calls do nothing.
/// \return false when libcurl does not start
bool start_http();

/// libcurl's version, as it says itself at run time: "8.14.1".
std::string libcurl_version();

}  // namespace lockkeeper::observe
