#include "tests/support/web/http.h"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace dyncast::web {
namespace {

constexpr size_t kMaxHeadBytes = 16 * 1024;

bool EqualIgnoringCase(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) == std::tolower(static_cast<unsigned char>(y));
  });
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) {
    text.remove_prefix(1);
  }
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) {
    text.remove_suffix(1);
  }
  return text;
}

template <typename T>
std::optional<T> ToNumber(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return value;
}

struct Head {
  ParseState state = ParseState::kIncomplete;
  std::string_view first_line;
  std::vector<std::pair<std::string_view, std::string_view>> fields;
  size_t bytes = 0;
};

Head ParseHead(std::string_view input) {
  Head head;
  const size_t end = input.find("\r\n\r\n");
  if (end == std::string_view::npos) {
    head.state = input.size() > kMaxHeadBytes ? ParseState::kBad : ParseState::kIncomplete;
    return head;
  }
  head.bytes = end + 4;
  std::string_view rest = input.substr(0, end);
  size_t line_end = rest.find("\r\n");
  head.first_line = rest.substr(0, line_end);
  while (line_end != std::string_view::npos) {
    rest.remove_prefix(line_end + 2);
    line_end = rest.find("\r\n");
    const std::string_view line = rest.substr(0, line_end);
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) {
      head.state = ParseState::kBad;
      return head;
    }
    head.fields.emplace_back(line.substr(0, colon), Trim(line.substr(colon + 1)));
  }
  head.state = ParseState::kComplete;
  return head;
}

}  // namespace

ParsedRequest ParseRequest(std::string_view input) {
  ParsedRequest result;
  const Head head = ParseHead(input);
  result.state = head.state;
  if (head.state != ParseState::kComplete) {
    return result;
  }
  const size_t first = head.first_line.find(' ');
  const size_t second = head.first_line.rfind(' ');
  if (first == std::string_view::npos || second <= first) {
    result.state = ParseState::kBad;
    return result;
  }
  std::string_view target = head.first_line.substr(first + 1, second - first - 1);
  const std::string_view version = head.first_line.substr(second + 1);
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    result.state = ParseState::kBad;
    return result;
  }
  result.request.method = head.first_line.substr(0, first);
  result.request.keep_alive = version == "HTTP/1.1";
  const size_t question = target.find('?');
  if (question != std::string_view::npos) {
    result.request.query = target.substr(question + 1);
    target = target.substr(0, question);
  }
  result.request.path = target;
  for (const auto& [name, value] : head.fields) {
    if (EqualIgnoringCase(name, "connection")) {
      result.request.keep_alive = !EqualIgnoringCase(value, "close");
    } else if (EqualIgnoringCase(name, "transfer-encoding") ||
               (EqualIgnoringCase(name, "content-length") && value != "0")) {
      result.state = ParseState::kBad;
      return result;
    }
  }
  result.consumed = head.bytes;
  return result;
}

ParsedResponse ParseResponse(std::string_view input) {
  ParsedResponse result;
  const Head head = ParseHead(input);
  result.state = head.state;
  if (head.state != ParseState::kComplete) {
    return result;
  }
  const std::optional<int> status =
      head.first_line.size() >= 12 ? ToNumber<int>(head.first_line.substr(9, 3)) : std::nullopt;
  std::optional<size_t> length;
  for (const auto& [name, value] : head.fields) {
    if (EqualIgnoringCase(name, "content-length")) {
      length = ToNumber<size_t>(value);
    } else if (EqualIgnoringCase(name, "x-instance")) {
      result.response.instance = value;
    } else if (EqualIgnoringCase(name, "connection")) {
      result.response.keep_alive = !EqualIgnoringCase(value, "close");
    }
  }
  if (!status || !length) {
    result.state = ParseState::kBad;
    return result;
  }
  if (input.size() - head.bytes < *length) {
    result.state = ParseState::kIncomplete;
    return result;
  }
  result.response.status = *status;
  result.response.body = input.substr(head.bytes, *length);
  result.consumed = head.bytes + *length;
  return result;
}

std::optional<std::string> QueryValue(std::string_view query, std::string_view key) {
  while (!query.empty()) {
    const size_t end = query.find('&');
    const std::string_view pair = query.substr(0, end);
    const size_t equals = pair.find('=');
    if (pair.substr(0, equals) == key) {
      return std::string(equals == std::string_view::npos ? "" : pair.substr(equals + 1));
    }
    if (end == std::string_view::npos) {
      break;
    }
    query.remove_prefix(end + 1);
  }
  return std::nullopt;
}

std::optional<Endpoint> ParseEndpoint(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) {
    return std::nullopt;
  }
  std::string_view address = text.substr(0, colon);
  const auto port = ToNumber<uint16_t>(text.substr(colon + 1));
  if (!port || *port == 0) {
    return std::nullopt;
  }
  if (address.front() == '[') {
    if (address.back() != ']' || address.size() < 3) {
      return std::nullopt;
    }
    address = address.substr(1, address.size() - 2);
  } else if (address.find(':') != std::string_view::npos) {
    return std::nullopt;
  }
  return Endpoint{.address = std::string(address), .port = *port};
}

}  // namespace dyncast::web
