// The little of HTTP/1.1 that the test server and the test client need: request heads without bodies,
// response heads with Content-Length.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dyncast::web {

struct Request {
  std::string method;
  std::string path;   // without the query
  std::string query;  // without the '?'
  bool keep_alive = true;
};

enum class ParseState : uint8_t { kComplete, kIncomplete, kBad };

struct ParsedRequest {
  ParseState state = ParseState::kIncomplete;
  Request request;
  size_t consumed = 0;  // bytes of the input that the request took
};
// At most 16 KiB of head; a body is refused.
ParsedRequest ParseRequest(std::string_view input);

struct Response {
  int status = 0;
  std::string instance;  // header X-Instance, empty if absent
  std::string body;
  bool keep_alive = true;
};
struct ParsedResponse {
  ParseState state = ParseState::kIncomplete;
  Response response;
  size_t consumed = 0;
};
ParsedResponse ParseResponse(std::string_view input);

// The value of `key` in "a=1&b=2"; nullopt if it is not there.
std::optional<std::string> QueryValue(std::string_view query, std::string_view key);

// "10.0.0.1:80" or "[fd00::1]:80"; nullopt if it is no address and port.
struct Endpoint {
  std::string address;
  uint16_t port = 0;
};
std::optional<Endpoint> ParseEndpoint(std::string_view text);

}  // namespace dyncast::web
