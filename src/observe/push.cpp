#include "observe/push.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

#include <curl/curl.h>
#include <fmt/format.h>

#include "observe/terminal.hpp"
#include "util/text.hpp"
#include "version.hpp"

namespace lockkeeper::observe {

namespace {

constexpr std::size_t k_answer_limit = 4096;  ///< bytes kept of what the server says
constexpr std::size_t k_quote_limit = 300;    ///< bytes of it shown

/// libcurl's process-wide state; counts its users, so it may be made more than once.
class CurlGlobal {
 public:
  CurlGlobal() : m_ready(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK) {}
  CurlGlobal(const CurlGlobal&) = delete;
  CurlGlobal& operator=(const CurlGlobal&) = delete;
  ~CurlGlobal() {
    if (m_ready) {
      curl_global_cleanup();
    }
  }
  [[nodiscard]] bool ready() const { return m_ready; }

 private:
  bool m_ready;
};

struct EasyCleanup {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
struct UrlCleanup {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
struct ListFree {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
struct CurlFree {
  void operator()(char* text) const { curl_free(text); }
};
using EasyHandle = std::unique_ptr<CURL, EasyCleanup>;
using UrlHandle = std::unique_ptr<CURLU, UrlCleanup>;
using HeaderList = std::unique_ptr<curl_slist, ListFree>;

/// A base URL taken apart.
struct Endpoint {
  std::string url;      ///< with the group path, without credentials
  std::string address;  ///< host:port, for messages
  std::string username;
  util::Secret password;
};

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

std::string part(CURLU* url, CURLUPart which, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, which, &text, flags) != CURLUE_OK) {
    return {};
  }
  const std::unique_ptr<char, CurlFree> owner(text);
  return text;
}

/// An Endpoint, or what is wrong with the URL. The URL itself is never repeated: it may hold a password.
struct ParsedUrl {
  Endpoint endpoint;
  std::string problem;
};

ParsedUrl parse_url(const std::string& text, const std::string& group) {
  const UrlHandle url(curl_url());
  if (!url) {
    return {.endpoint = {}, .problem = "out of memory"};
  }
  // Without NON_SUPPORT_SCHEME a missing or strange scheme is an error here, not a guess.
  if (const CURLUcode code = curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0); code != CURLUE_OK) {
    return {.endpoint = {}, .problem = curl_url_strerror(code)};
  }
  const std::string scheme = part(url.get(), CURLUPART_SCHEME);
  if (scheme != "http" && scheme != "https") {
    return {.endpoint = {}, .problem = "it must start with http:// or https://"};
  }
  Endpoint endpoint;
  endpoint.address = part(url.get(), CURLUPART_HOST) + ":" + part(url.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT);
  endpoint.username = part(url.get(), CURLUPART_USER, CURLU_URLDECODE);
  endpoint.password = util::Secret(part(url.get(), CURLUPART_PASSWORD, CURLU_URLDECODE));
  std::string path = part(url.get(), CURLUPART_PATH);
  while (path.ends_with('/')) {
    path.pop_back();
  }
  for (const CURLUPart gone : {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_OPTIONS, CURLUPART_FRAGMENT}) {
    static_cast<void>(curl_url_set(url.get(), gone, nullptr, 0));
  }
  static_cast<void>(curl_url_set(url.get(), CURLUPART_PATH, (path + group).c_str(), 0));
  endpoint.url = part(url.get(), CURLUPART_URL);
  return {.endpoint = std::move(endpoint), .problem = {}};
}

std::size_t keep_answer(const char* data, std::size_t size, std::size_t count, void* answer) {
  auto& kept = *static_cast<std::string*>(answer);
  const std::size_t bytes = size * count;
  kept.append(data, std::min(bytes, k_answer_limit - kept.size()));
  return bytes;  // the rest is taken and dropped, so that the transfer ends properly
}

/// The server's explanation in one safe line.
std::string first_line(const std::string& answer) {
  const std::string_view text = util::trim(answer);
  return util::shorten(printable(util::trim(text.substr(0, text.find('\n')))), k_quote_limit);
}

/// curl_easy_setopt() is variadic; one typed way in. Failures show when the request is made.
template <typename T>
void set(CURL* handle, CURLoption option, T value) {
  static_cast<void>(curl_easy_setopt(handle, option, value));
}

long milliseconds(util::Duration duration, util::Duration instead_of_zero) {
  return static_cast<long>((duration.count() > 0 ? duration : instead_of_zero).count());
}

void limit(CURL* handle, const PushTarget& target) {
  const PushTarget defaults;
  set(handle, CURLOPT_NOSIGNAL, 1L);
  set(handle, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(target.connect_timeout, defaults.connect_timeout));
  set(handle, CURLOPT_TIMEOUT_MS, milliseconds(target.timeout, defaults.timeout));
#if LIBCURL_VERSION_NUM >= 0x075700
  // Otherwise closing the handle waits for a name server that does not answer, however long ago the timeout was.
  set(handle, CURLOPT_QUICK_EXIT, 1L);
#endif
  set(handle, CURLOPT_FOLLOWLOCATION, 0L);
#if LIBCURL_VERSION_NUM >= 0x075500
  set(handle, CURLOPT_PROTOCOLS_STR, "http,https");
#else
  set(handle, CURLOPT_PROTOCOLS, static_cast<long>(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
}

void authenticate(CURL* handle, const PushTarget& target, const Endpoint& endpoint) {
  if (!target.bearer_token.empty()) {
    set(handle, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
    set(handle, CURLOPT_XOAUTH2_BEARER, target.bearer_token.reveal().c_str());
    return;
  }
  const bool from_target = !target.username.empty();
  const std::string& username = from_target ? target.username : endpoint.username;
  const util::Secret& password = from_target ? target.password : endpoint.password;
  if (!username.empty()) {
    set(handle, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
    set(handle, CURLOPT_USERNAME, username.c_str());
    set(handle, CURLOPT_PASSWORD, password.reveal().c_str());
  }
}

HeaderList headers() {
  // An empty Expect: a Pushgateway behind a proxy may leave curl waiting a second for "100 Continue".
  HeaderList list;
  for (const char* header : {"Content-Type: text/plain; version=0.0.4; charset=utf-8", "Expect:"}) {
    curl_slist* longer = curl_slist_append(list.get(), header);
    if (longer == nullptr) {
      return {};
    }
    // Appending to an empty list makes a new one; later calls return the head that we own already.
    if (list == nullptr) {
      list.reset(longer);
    }
  }
  return list;
}

/// Everything about the request but its limits and credentials. \p body is not copied.
void describe(CURL* handle, const PushTarget& target, PushMode mode, const std::string& url, const std::string& body) {
  set(handle, CURLOPT_URL, url.c_str());
  set(handle, CURLOPT_PATH_AS_IS, 1L);
  set(handle, CURLOPT_USERAGENT, fmt::format("lockkeeper/{}", k_version).c_str());
  set(handle, CURLOPT_POSTFIELDS, body.data());
  set(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
  if (mode == PushMode::replace) {
    set(handle, CURLOPT_CUSTOMREQUEST, "PUT");
  }
  if (!target.ca_file.empty()) {
    set(handle, CURLOPT_CAINFO, target.ca_file.c_str());
  }
}

struct Response {
  CURLcode code = CURLE_FAILED_INIT;
  std::string trouble;  ///< curl's own words when code is not CURLE_OK
  long status = 0;
  std::string answer;
};

Response send(const PushTarget& target, PushMode mode, const Endpoint& endpoint, const std::string& body) {
  Response response;
  const EasyHandle handle(curl_easy_init());
  const HeaderList header_list = headers();
  if (!handle || !header_list) {
    response.trouble = "out of memory";
    return response;
  }
  std::array<char, CURL_ERROR_SIZE> error{};
  limit(handle.get(), target);
  authenticate(handle.get(), target, endpoint);
  describe(handle.get(), target, mode, endpoint.url, body);
  set(handle.get(), CURLOPT_HTTPHEADER, header_list.get());
  set(handle.get(), CURLOPT_ERRORBUFFER, error.data());
  set(handle.get(), CURLOPT_WRITEFUNCTION, &keep_answer);
  set(handle.get(), CURLOPT_WRITEDATA, &response.answer);
  response.code = curl_easy_perform(handle.get());
  response.trouble = error[0] != '\0' ? error.data() : curl_easy_strerror(response.code);
  static_cast<void>(curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &response.status));
  return response;
}

std::string_view what_status_means(long status) {
  if (status >= 300 && status < 400) {
    return " (redirects are not followed: give the final URL)";
  }
  if (status == 401 || status == 403) {
    return " (check user name, password or token)";
  }
  return status == 404 ? " (check the path in the URL)" : "";
}

std::optional<std::string> judge(const Response& response, const std::string& address) {
  const std::string who = "metrics not pushed to " + printable(address);
  if (response.code != CURLE_OK) {
    return fmt::format("{}: {}", who, printable(response.trouble));
  }
  if (response.status >= 200 && response.status < 300) {
    return std::nullopt;
  }
  std::string text = fmt::format("{}: HTTP {}{}", who, response.status, what_status_means(response.status));
  if (const std::string words = first_line(response.answer); !words.empty()) {
    text += ": " + words;
  }
  return text;
}

}  // namespace

std::string libcurl_version() {
  return curl_version_info(CURLVERSION_NOW)->version;
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
  const CurlGlobal curl;
  if (!curl.ready()) {
    return "metrics not pushed: libcurl does not start";
  }
  const ParsedUrl parsed = parse_url(target.url, group_path(target.job, target.labels));
  if (!parsed.problem.empty()) {
    return "metrics not pushed: the metrics URL cannot be used: " + parsed.problem;
  }
  return judge(send(target, mode, parsed.endpoint, body), parsed.endpoint.address);
}

}  // namespace lockkeeper::observe
