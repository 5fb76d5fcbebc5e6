#include "observe/http.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <string_view>
#include <thread>

#include <curl/curl.h>
#include <fmt/format.h>

#include "observe/terminal.hpp"
#include "util/text.hpp"
#include "version.hpp"

namespace lockkeeper::observe {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t k_answer_limit = 4096;  ///< bytes kept of what the server says
constexpr std::size_t k_quote_limit = 300;    ///< bytes of it shown
constexpr milliseconds k_stop_interval{20};   ///< how often the stop flag is looked at
constexpr milliseconds k_retry_pause{200};
constexpr milliseconds k_least_attempt{50};  ///< with less time left a second attempt is not made

/// libcurl's process-wide state.
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
struct MultiCleanup {
  void operator()(CURLM* handle) const { curl_multi_cleanup(handle); }
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
using MultiHandle = std::unique_ptr<CURLM, MultiCleanup>;
using UrlHandle = std::unique_ptr<CURLU, UrlCleanup>;
using HeaderList = std::unique_ptr<curl_slist, ListFree>;

/// A URL taken apart.
struct Endpoint {
  std::string url;      ///< without credentials
  std::string address;  ///< host:port, for messages
  std::string username;
  util::Secret password;
};

std::string part(CURLU* url, CURLUPart which, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, which, &text, flags) != CURLUE_OK) {
    return {};
  }
  const std::unique_ptr<char, CurlFree> owner(text);
  return text;
}

void append_path(CURLU* url, const std::string& more) {
  std::string path = part(url, CURLUPART_PATH);
  while (path.ends_with('/')) {
    path.pop_back();
  }
  static_cast<void>(curl_url_set(url, CURLUPART_PATH, (path + more).c_str(), 0));
}

/// An Endpoint, or what is wrong with the URL. The URL itself is never repeated: it may hold a password.
struct ParsedUrl {
  Endpoint endpoint;
  std::string problem;
};

ParsedUrl parse_url(const std::string& text, const std::string& path) {
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
  endpoint.address =
      printable(part(url.get(), CURLUPART_HOST) + ":" + part(url.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT));
  endpoint.username = part(url.get(), CURLUPART_USER, CURLU_URLDECODE);
  endpoint.password = util::Secret(part(url.get(), CURLUPART_PASSWORD, CURLU_URLDECODE));
  for (const CURLUPart gone : {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_OPTIONS, CURLUPART_FRAGMENT}) {
    static_cast<void>(curl_url_set(url.get(), gone, nullptr, 0));
  }
  if (!path.empty()) {
    append_path(url.get(), path);
  }
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

void set_if(CURL* handle, CURLoption option, const std::string& value) {
  if (!value.empty()) {
    set(handle, option, value.c_str());
  }
}

milliseconds or_default(util::Duration duration, util::Duration instead_of_zero) {
  return duration.count() > 0 ? duration : instead_of_zero;
}

void limit(CURL* handle, const HttpRequest& request, milliseconds remaining) {
  const milliseconds connecting = or_default(request.connect_timeout, HttpRequest().connect_timeout);
  set(handle, CURLOPT_NOSIGNAL, 1L);
  set(handle, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(connecting.count()));
  set(handle, CURLOPT_TIMEOUT_MS, static_cast<long>(remaining.count()));
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

void authenticate(CURL* handle, const HttpRequest& request, const Endpoint& endpoint) {
  set_if(handle, CURLOPT_CAINFO, request.ca_file);
  set_if(handle, CURLOPT_SSLCERT, request.client_certificate);
  set_if(handle, CURLOPT_SSLKEY, request.client_key);
  set(handle, CURLOPT_KEYPASSWD, "");  // without it OpenSSL would ask on the terminal for the password of a key
  if (!request.bearer_token.empty()) {
    set(handle, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
    set(handle, CURLOPT_XOAUTH2_BEARER, request.bearer_token.reveal().c_str());
    return;
  }
  const bool from_request = !request.username.empty();
  const std::string& username = from_request ? request.username : endpoint.username;
  const util::Secret& password = from_request ? request.password : endpoint.password;
  if (!username.empty()) {
    set(handle, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
    set(handle, CURLOPT_USERNAME, username.c_str());
    set(handle, CURLOPT_PASSWORD, password.reveal().c_str());
  }
}

/// False: out of memory.
bool append(HeaderList& list, const std::string& header) {
  curl_slist* longer = curl_slist_append(list.get(), header.c_str());
  // Appending to an empty list makes a new one; later calls return the head that we own already.
  if (longer != nullptr && list == nullptr) {
    list.reset(longer);
  }
  return longer != nullptr;
}

HeaderList headers_of(const HttpRequest& request) {
  HeaderList list;
  // An empty Expect: a receiver behind a proxy may leave curl waiting a second for "100 Continue".
  bool complete = append(list, "Content-Type: " + request.content_type) && append(list, "Expect:");
  for (const auto& [name, value] : request.headers) {
    complete = complete && append(list, name + ": " + value.reveal());
  }
  return complete ? std::move(list) : HeaderList();
}

/// Everything about the request but its limits and credentials. The body is not copied.
void describe(CURL* handle, const HttpRequest& request, const std::string& url) {
  set(handle, CURLOPT_URL, url.c_str());
  set(handle, CURLOPT_PATH_AS_IS, 1L);
  set(handle, CURLOPT_USERAGENT, fmt::format("lockkeeper/{}", k_version).c_str());
  set(handle, CURLOPT_POSTFIELDS, request.body.c_str());
  set(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
  set(handle, CURLOPT_CUSTOMREQUEST, request.method.c_str());
}

bool stopped(const HttpRequest& request) {
  return request.stop != nullptr && request.stop->load();
}

/// The transfer's result; nullopt when it was stopped. curl's own loop (curl_easy_perform) looks up once a second only.
std::optional<CURLcode> perform(CURL* handle, const HttpRequest& request) {
  const MultiHandle multi(curl_multi_init());
  if (!multi || curl_multi_add_handle(multi.get(), handle) != CURLM_OK) {
    return CURLE_OUT_OF_MEMORY;
  }
  const auto interval = static_cast<int>(request.stop != nullptr ? k_stop_interval.count() : 1000);
  std::optional<CURLcode> result;
  int running = 1;
  while (running > 0 && !stopped(request)) {
    if (curl_multi_perform(multi.get(), &running) != CURLM_OK ||
        (running > 0 && curl_multi_poll(multi.get(), nullptr, 0, interval, nullptr) != CURLM_OK)) {
      result = CURLE_OUT_OF_MEMORY;
      break;
    }
  }
  int waiting = 0;
  if (const CURLMsg* message = curl_multi_info_read(multi.get(), &waiting); message != nullptr) {
    result = message->data.result;
  }
  static_cast<void>(curl_multi_remove_handle(multi.get(), handle));
  return result;
}

struct Response {
  CURLcode code = CURLE_OUT_OF_MEMORY;
  bool stopped = false;
  std::string trouble = "out of memory";  ///< curl's own words when code is not CURLE_OK
  long status = 0;
  milliseconds retry_after{0};
  std::string answer;
};

Response attempt(const HttpRequest& request, const Endpoint& endpoint, milliseconds remaining) {
  Response response;
  const EasyHandle handle(curl_easy_init());
  const HeaderList header_list = headers_of(request);
  if (!handle || !header_list) {
    return response;
  }
  std::array<char, CURL_ERROR_SIZE> error{};
  limit(handle.get(), request, remaining);
  authenticate(handle.get(), request, endpoint);
  describe(handle.get(), request, endpoint.url);
  set(handle.get(), CURLOPT_HTTPHEADER, header_list.get());
  set(handle.get(), CURLOPT_ERRORBUFFER, error.data());
  set(handle.get(), CURLOPT_WRITEFUNCTION, &keep_answer);
  set(handle.get(), CURLOPT_WRITEDATA, &response.answer);
  const std::optional<CURLcode> code = perform(handle.get(), request);
  response.stopped = !code;
  response.code = code.value_or(CURLE_ABORTED_BY_CALLBACK);
  response.trouble = error[0] != '\0' ? error.data() : curl_easy_strerror(response.code);
  curl_off_t seconds = 0;
  static_cast<void>(curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &response.status));
  static_cast<void>(curl_easy_getinfo(handle.get(), CURLINFO_RETRY_AFTER, &seconds));
  response.retry_after = std::chrono::seconds(std::clamp<curl_off_t>(seconds, 0, 3600));
  return response;
}

/// What may be gone a moment later. The time limit is among it: connecting has one of its own, and a second attempt
/// needs time that is left.
bool may_pass(const Response& response) {
  switch (response.code) {
    case CURLE_OK:
      return response.status == 429 || response.status == 502 || response.status == 503 || response.status == 504;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE: return true;
    default: return false;
  }
}

void pause(const HttpRequest& request, milliseconds duration) {
  const auto end = steady_clock::now() + duration;
  while (steady_clock::now() < end && !stopped(request)) {
    std::this_thread::sleep_for(std::min<steady_clock::duration>(k_stop_interval, end - steady_clock::now()));
  }
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

/// Empty: delivered.
std::string problem_of(const Response& response) {
  if (response.stopped) {
    return "stopped before there was an answer";
  }
  if (response.code != CURLE_OK) {
    return printable(response.trouble);
  }
  if (response.status >= 200 && response.status < 300) {
    return {};
  }
  std::string text = fmt::format("HTTP {}{}", response.status, what_status_means(response.status));
  if (const std::string words = first_line(response.answer); !words.empty()) {
    text += ": " + words;
  }
  return text;
}

}  // namespace

bool start_http() {
  static const CurlGlobal curl;
  return curl.ready();
}

std::string libcurl_version() {
  return curl_version_info(CURLVERSION_NOW)->version;
}

HttpAnswer send_request(const HttpRequest& request) {
  HttpAnswer answer;
  const ParsedUrl parsed = parse_url(request.url, request.path);
  if (!parsed.problem.empty()) {
    answer.problem = parsed.problem;
    return answer;
  }
  answer.address = parsed.endpoint.address;
  if (!start_http()) {
    answer.problem = "libcurl does not start";
    return answer;
  }
  const auto end = steady_clock::now() + or_default(request.timeout, HttpRequest().timeout);
  const auto remaining = [end] { return std::chrono::ceil<milliseconds>(end - steady_clock::now()); };
  Response response = attempt(request, parsed.endpoint, remaining());
  const milliseconds wait = response.retry_after.count() > 0 ? response.retry_after : k_retry_pause;
  const bool again = request.retry && may_pass(response) && remaining() >= wait + k_least_attempt;
  if (again) {
    pause(request, wait);
    response = attempt(request, parsed.endpoint, std::max(remaining(), milliseconds(1)));
  }
  answer.problem = problem_of(response);
  answer.delivered = answer.problem.empty();
  if (again && !answer.delivered) {
    answer.problem += " (tried twice)";
  }
  answer.body = std::move(response.answer);
  return answer;
}

}  // namespace lockkeeper::observe
