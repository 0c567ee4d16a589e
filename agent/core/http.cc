#include "agent/core/http.h"

#include <algorithm>
#include <charconv>

#include "agent/core/text.h"

namespace dyncast::agent {
namespace {

Error Bad(std::string rule, std::string_view found) {
  return MakeError(Errc::kProtocol, std::move(rule) + ", found " + Quoted(found));
}

bool EqualsIgnoringCase(std::string_view a, std::string_view lower) {
  return std::equal(a.begin(), a.end(), lower.begin(), lower.end(), [](char x, char y) {
    return (x >= 'A' && x <= 'Z' ? static_cast<char>(x - 'A' + 'a') : x) == y;
  });
}

}  // namespace

Result<HttpUrl> ParseHttpUrl(std::string_view url) {
  constexpr std::string_view kScheme = "http://";
  const auto bad = [&](std::string_view rule) {
    return MakeError(Errc::kInvalid, "'" + std::string(url) + "': " + std::string(rule));
  };
  if (!url.starts_with(kScheme)) return bad("must begin with http://");
  std::string_view rest = url.substr(kScheme.size());
  const size_t slash = rest.find_first_of("/?#");
  HttpUrl parsed;
  parsed.path = slash == std::string_view::npos ? "/" : std::string(rest.substr(slash));
  if (parsed.path.front() != '/' || std::any_of(parsed.path.begin(), parsed.path.end(),
                                                [](char c) { return c <= ' ' || c >= 0x7f || c == '#'; })) {
    return bad("the path must begin with '/' and hold no blank, fragment or control character");
  }
  std::string_view host = rest.substr(0, slash);
  std::string_view port;
  if (host.starts_with('[')) {
    const size_t close = host.find(']');
    if (close == std::string_view::npos) return bad("an IPv6 address must end with ']'");
    port = host.substr(close + 1);
    host = host.substr(1, close - 1);
    if (!port.empty() && port.front() != ':') return bad("only ':PORT' may follow the address");
  } else if (const size_t colon = host.find(':'); colon != std::string_view::npos) {
    port = host.substr(colon);
    host = host.substr(0, colon);
  }
  if (!port.empty()) {
    const auto number = ParseUnsigned(port.substr(1));
    if (!number || *number == 0 || *number > 65535) return bad("the port must be 1..65535");
    parsed.port = static_cast<uint16_t>(*number);
  }
  auto address = IpAddress::Parse(host);
  if (!address) return bad("the host must be an IP address (names are not resolved)");
  parsed.address = *address;
  return parsed;
}

std::string HttpGetRequest(const HttpUrl& url, std::string_view accept) {
  std::string host = url.address.ToString();
  if (!url.address.is_v4()) host = "[" + host + "]";
  if (url.port != 80) host += ":" + std::to_string(url.port);
  return "GET " + url.path + " HTTP/1.1\r\nHost: " + host +
         "\r\nUser-Agent: dyncast-agent/" DYNCAST_VERSION "\r\nAccept: " + std::string(accept) +
         "\r\nConnection: close\r\n\r\n";
}

Status HttpResponseParser::StatusLine(std::string_view line) {
  std::string_view rest = line;
  const std::string_view version = NextWord(&rest);
  const std::string_view code = NextWord(&rest);
  const auto status = ParseUnsigned(code);
  if ((version != "HTTP/1.1" && version != "HTTP/1.0") || code.size() != 3 || !status || *status < 100 ||
      *status > 599) {
    return Bad("the status line must be 'HTTP/1.x NNN'", line);
  }
  status_ = static_cast<int>(*status);
  length_.reset();
  chunked_ = false;
  place_ = Place::kHeader;
  return Ok();
}

Status HttpResponseParser::HeaderLine(std::string_view line) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0) return Bad("a header line must be 'NAME: VALUE'", line);
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = TrimBlanks(line.substr(colon + 1));
  TakeLoadReport(line);
  if (EqualsIgnoringCase(name, "content-length")) {
    const auto length = ParseUnsigned(value);
    if (!length) return Bad("Content-Length must be a number", value);
    if (length_ && *length_ != *length)
      return Bad("Content-Length is said twice with different values", value);
    length_ = *length;
  } else if (EqualsIgnoringCase(name, "transfer-encoding")) {
    if (!EqualsIgnoringCase(value, "chunked"))
      return Bad("the only transfer encoding known is chunked", value);
    chunked_ = true;
  }
  return Ok();
}

// `line`: "NAME: VALUE"; other names are passed over.
void HttpResponseParser::TakeLoadReport(std::string_view line) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return;
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = TrimBlanks(line.substr(colon + 1));
  if (EqualsIgnoringCase(name, "endpoint-load-metrics")) load_report_ = value;
  if (EqualsIgnoringCase(name, "endpoint-load-metrics-bin")) load_report_bin_ = value;
}

Status HttpResponseParser::HeaderComplete() {
  if (status_ < 200) {  // interim: the real answer follows
    place_ = Place::kStatus;
    return Ok();
  }
  if (chunked_ && length_) return Bad("Content-Length and chunked exclude each other", "both");
  if (length_ && keep_ == HttpBody::kKeep && *length_ > limits_.body_bytes) {
    return MakeError(Errc::kLimit, "the body has " + std::to_string(*length_) + " bytes, at most " +
                                       std::to_string(limits_.body_bytes) + " are read");
  }
  // A trailer comes only after chunks.
  const bool no_trailer = keep_ == HttpBody::kTrailer && (load_report_ || load_report_bin_ || !chunked_);
  if (keep_ == HttpBody::kSkip || no_trailer || status_ == 204 || status_ == 304) {
    place_ = Place::kDone;
  } else if (chunked_) {
    place_ = Place::kChunkSize;
  } else if (length_) {
    left_ = *length_;
    place_ = left_ == 0 ? Place::kDone : Place::kSized;
  } else {
    place_ = Place::kToEnd;
  }
  return Ok();
}

Status HttpResponseParser::ChunkSize(std::string_view line) {
  const std::string_view digits = TrimBlanks(line.substr(0, line.find(';')));
  uint64_t size = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), size, 16);
  if (digits.empty() || error != std::errc{} || end != digits.data() + digits.size()) {
    return Bad("a chunk's size must be a hexadecimal number", line);
  }
  left_ = size;
  place_ = size == 0 ? Place::kTrailer : Place::kChunk;
  return Ok();
}

Status HttpResponseParser::Line(std::string_view line) {
  switch (place_) {
    case Place::kStatus: return StatusLine(line);
    case Place::kHeader: return line.empty() ? HeaderComplete() : HeaderLine(line);
    case Place::kChunkSize: return ChunkSize(line);
    case Place::kChunkEnd:
      if (!line.empty()) return Bad("a chunk must end with an empty line", line);
      place_ = Place::kChunkSize;
      return Ok();
    case Place::kTrailer:
      if (line.empty()) place_ = Place::kDone;
      TakeLoadReport(line);
      return Ok();
    default: return MakeError(Errc::kInternal, "a line where none is read");
  }
}

Result<HttpProgress> HttpResponseParser::Feed(std::string_view bytes) {
  while (!bytes.empty() && place_ != Place::kDone) {
    if (place_ == Place::kSized || place_ == Place::kToEnd || place_ == Place::kChunk) {
      const size_t take = place_ == Place::kToEnd
                              ? bytes.size()
                              : static_cast<size_t>(std::min<uint64_t>(left_, bytes.size()));
      if (take > limits_.body_bytes - body_used_) {
        return MakeError(Errc::kLimit,
                         "the body is longer than " + std::to_string(limits_.body_bytes) + " bytes");
      }
      body_used_ += take;
      if (keep_ == HttpBody::kKeep) body_.append(bytes.substr(0, take));
      bytes.remove_prefix(take);
      if (place_ == Place::kToEnd) continue;
      left_ -= take;
      if (left_ == 0) place_ = place_ == Place::kSized ? Place::kDone : Place::kChunkEnd;
      continue;
    }
    const size_t end = bytes.find('\n');
    const size_t take = end == std::string_view::npos ? bytes.size() : end + 1;
    // A chunk's own line is bounded by itself: the body's limit bounds how many there can be.
    const bool in_body = place_ == Place::kChunkSize || place_ == Place::kChunkEnd;
    if (!in_body) head_used_ += take;
    if ((in_body ? line_.size() + take : head_used_) > limits_.head_bytes) {
      return MakeError(Errc::kLimit,
                       "the header is longer than " + std::to_string(limits_.head_bytes) + " bytes");
    }
    line_.append(bytes.substr(0, take));
    bytes.remove_prefix(take);
    if (end == std::string_view::npos) break;
    std::string_view line = line_;
    line.remove_suffix(1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (const Status status = Line(line); !status) return status.error();
    line_.clear();
  }
  return place_ == Place::kDone ? HttpProgress::kDone : HttpProgress::kMore;
}

Result<HttpProgress> HttpResponseParser::Finish() {
  if (place_ == Place::kDone) return HttpProgress::kDone;
  if (place_ == Place::kToEnd) {
    place_ = Place::kDone;
    return HttpProgress::kDone;
  }
  return MakeError(Errc::kProtocol, place_ == Place::kStatus && head_used_ == 0
                                        ? "the server closed the connection without an answer"
                                        : "the answer was cut off");
}

}  // namespace dyncast::agent
