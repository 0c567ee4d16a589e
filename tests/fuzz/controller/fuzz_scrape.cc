// The head of an HTTP request that somebody sends to the port for Prometheus.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "controller/io/scrape_http.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view head(reinterpret_cast<const char*>(data), size);
  const dyncast::ScrapeWish wish = dyncast::ReadScrape(head);
  // Only one thing is served, and only to who asks for it.
  if (wish == dyncast::ScrapeWish::kPage && !head.starts_with("GET /metrics")) std::abort();
  return 0;
}
