// As much of an HTTP/1.1 client as health checks and scrapes need (RFC 9112): a request, a bounded parser
// of the response, fed piece by piece. Pure; no redirects, no TLS, no compression.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "schema/base/ip.h"
#include "schema/base/result.h"

namespace dyncast::agent {

struct HttpUrl {
  IpAddress address;
  uint16_t port = 80;  // 1..65535
  std::string path;    // begins with '/'; with the query
  friend bool operator==(const HttpUrl&, const HttpUrl&) = default;
};
// "http://ADDRESS[:PORT][/PATH]"; an IPv6 address in brackets. Names are not resolved.
Result<HttpUrl> ParseHttpUrl(std::string_view url);

// A GET request that asks the server to close the connection afterwards. `accept` is the Accept header.
std::string HttpGetRequest(const HttpUrl& url, std::string_view accept);

enum class HttpBody : uint8_t {
  kSkip,  // done as soon as the header is complete
  kKeep,
  kTrailer,  // read for a load report in the trailer and not kept; done as soon as none can come any more
};

struct HttpLimits {
  size_t head_bytes = size_t{32} << 10;  // status line, header and trailer lines, all together
  size_t body_bytes = size_t{4} << 20;
};

enum class HttpProgress : uint8_t { kMore, kDone };

class HttpResponseParser {
 public:
  explicit HttpResponseParser(HttpBody body, HttpLimits limits = {}) : keep_(body), limits_(limits) {}

  // The next bytes of the connection. After an error or kDone it must not be fed again.
  Result<HttpProgress> Feed(std::string_view bytes);
  // The peer closed the connection: kDone if that is how this body ends, else an error.
  Result<HttpProgress> Finish();

  int status() const { return status_; }  // 100..599; 0 before the status line
  const std::string& body() const { return body_; }
  bool head_complete() const { return place_ != Place::kStatus && place_ != Place::kHeader; }
  // The newest value, of header or trailer, of `endpoint-load-metrics` and of `endpoint-load-metrics-bin`
  // (see orca.h); absent: not said.
  const std::optional<std::string>& load_report() const { return load_report_; }
  const std::optional<std::string>& load_report_bin() const { return load_report_bin_; }

 private:
  enum class Place : uint8_t {
    kStatus,
    kHeader,
    kSized,
    kToEnd,
    kChunkSize,
    kChunk,
    kChunkEnd,
    kTrailer,
    kDone
  };
  Status Line(std::string_view line);
  Status StatusLine(std::string_view line);
  Status HeaderLine(std::string_view line);
  Status ChunkSize(std::string_view line);
  void TakeLoadReport(std::string_view line);
  Status HeaderComplete();

  HttpBody keep_;
  HttpLimits limits_;
  Place place_ = Place::kStatus;
  int status_ = 0;
  bool chunked_ = false;
  std::optional<uint64_t> length_;
  uint64_t left_ = 0;     // bytes of the body or chunk still to come
  size_t head_used_ = 0;  // bytes of lines so far
  std::string line_;      // a line of which the end did not come yet
  std::string body_;
  size_t body_used_ = 0;  // bytes of the body so far, kept or not
  std::optional<std::string> load_report_;
  std::optional<std::string> load_report_bin_;
};

}  // namespace dyncast::agent
