#include "controller/io/scrape_http.h"

namespace dyncast {
namespace {

std::string_view Reason(int status) {
  switch (status) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    default: return "Service Unavailable";
  }
}

}  // namespace

ScrapeWish ReadScrape(std::string_view head) {
  const std::string_view line = head.substr(0, head.find("\r\n"));
  const size_t first = line.find(' ');
  const size_t second = first == std::string_view::npos ? first : line.find(' ', first + 1);
  if (second == std::string_view::npos) return ScrapeWish::kMalformed;
  const std::string_view method = line.substr(0, first);
  std::string_view target = line.substr(first + 1, second - first - 1);
  if (!line.substr(second + 1).starts_with("HTTP/1.") || method.empty() || !target.starts_with('/')) {
    return ScrapeWish::kMalformed;
  }
  if (method != "GET") return ScrapeWish::kNotAllowed;
  target = target.substr(0, target.find('?'));
  return target == "/metrics" ? ScrapeWish::kPage : ScrapeWish::kNotFound;
}

std::string ScrapeAnswer(int status, std::string_view content_type, std::string_view body) {
  std::string out = "HTTP/1.1 " + std::to_string(status) + " ";
  out.append(Reason(status)).append("\r\nContent-Type: ").append(content_type);
  if (status == 405) out.append("\r\nAllow: GET");
  out.append("\r\nContent-Length: ").append(std::to_string(body.size()));
  out.append("\r\nConnection: close\r\n\r\n").append(body);
  return out;
}

}  // namespace dyncast
