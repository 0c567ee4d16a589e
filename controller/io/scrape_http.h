// The little of HTTP/1.1 (RFC 9112) that a Prometheus server needs of us. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace dyncast {

inline constexpr size_t kMaxScrapeRequest = 8192;

// What a request, up to the blank line that ends its head, asks for.
enum class ScrapeWish : uint8_t {
  kPage,        // GET /metrics
  kNotFound,    // another path
  kNotAllowed,  // another method
  kMalformed,
};
ScrapeWish ReadScrape(std::string_view head);

// The whole answer; the connection is closed after it.
std::string ScrapeAnswer(int status, std::string_view content_type, std::string_view body);

}  // namespace dyncast
