#include "controller/ctl/client.h"

#include <curl/curl.h>
#include <fmt/core.h>

#include <array>
#include <cstring>
#include <memory>
#include <utility>

namespace dyncast::ctl {
namespace {

constexpr size_t kMaxAnswerBytes = size_t{256} << 20;
constexpr long kConnectTimeoutMs = 3000;
constexpr long kTimeoutMs = 60000;  // a check reads whole switches

size_t Take(char* data, size_t size, size_t count, void* body) {
  auto* out = static_cast<std::string*>(body);
  if (out->size() + size * count > kMaxAnswerBytes) return 0;
  out->append(data, size * count);
  return size * count;
}

// What is shown is walked by recursion: an answer nested deeper than any of ours would exhaust the stack.
bool TooDeep(const std::string& body) {
  constexpr int kMaxDepth = 64;
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < body.size() && depth <= kMaxDepth; ++i) {
    const char c = body[i];
    if (in_string && c == '\\') {
      ++i;
    } else if (c == '"') {
      in_string = !in_string;
    } else if (!in_string) {
      depth += (c == '[' || c == '{') ? 1 : (c == ']' || c == '}') ? -1 : 0;
    }
  }
  return depth > kMaxDepth;
}

}  // namespace

Client::Client(std::string socket_path) : socket_path_(std::move(socket_path)) {}

Result<Answer> Client::Get(const std::string& target) const { return Request("GET", target); }
Result<Answer> Client::Post(const std::string& target) const { return Request("POST", target); }

Result<Answer> Client::Request(const char* method, const std::string& target) const {
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl(curl_easy_init(), curl_easy_cleanup);
  if (!curl) return MakeError(Errc::kInternal, "libcurl could not be set up");
  Answer answer;
  const std::string url = "http://controller" + target;
  std::array<char, CURL_ERROR_SIZE> reason{};
  const bool post = std::string_view(method) == "POST";
  curl_easy_setopt(curl.get(), CURLOPT_UNIX_SOCKET_PATH, socket_path_.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_NOPROXY, "*");
  curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_CONNECTTIMEOUT_MS, kConnectTimeoutMs);
  curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT_MS, kTimeoutMs);
  curl_easy_setopt(curl.get(), CURLOPT_ERRORBUFFER, reason.data());
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, Take);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &answer.body);
  if (post) {
    curl_easy_setopt(curl.get(), CURLOPT_POST, 1L);
    curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDSIZE, 0L);
    curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDS, "");
  }
  const CURLcode code = curl_easy_perform(curl.get());
  if (code != CURLE_OK) {
    // A connection's own error names a host that there is not.
    long error = 0;
    curl_easy_getinfo(curl.get(), CURLINFO_OS_ERRNO, &error);
    const bool refused = code == CURLE_COULDNT_CONNECT && error != 0;
    const std::string why = refused          ? std::strerror(static_cast<int>(error))
                            : reason[0] != 0 ? reason.data()
                                             : curl_easy_strerror(code);
    return MakeError(Errc::kUnavailable,
                     fmt::format("no answer from the controller at {}: {} (is it running? --socket or "
                                 "DYNCAST_SOCKET names another socket)",
                                 Escape(socket_path_), why));
  }
  long status = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  answer.status = static_cast<int>(status);
  if (!TooDeep(answer.body)) answer.json = Json::parse(answer.body, nullptr, false);
  if (answer.json.is_discarded() || answer.json.is_null()) {
    return MakeError(Errc::kProtocol,
                     fmt::format("the answer to {} {} (HTTP status {}) is no JSON: is there a "
                                 "controller at {}?",
                                 method, target, status, Escape(socket_path_)));
  }
  return answer;
}

}  // namespace dyncast::ctl
