// The forms of endpoints, paths and log levels.
#include <algorithm>
#include <array>

#include "schema/config/codec.h"
#include "schema/model/name.h"

namespace dyncast::config {
namespace {

constexpr size_t kMaxPath = 4095;       // PATH_MAX without its terminator
constexpr size_t kMaxSocketPath = 107;  // sockaddr_un.sun_path without its terminator

bool IsPort(std::string_view text) { return Unsigned<uint16_t>(1, 65535).parse(text).ok(); }

bool IsPath(std::string_view text) {
  return !text.empty() && text.size() <= kMaxPath &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c != 0x7f; });
}

// An address that one can connect to, or listen at.
bool IsHostAddress(std::string_view text) {
  const Result<IpAddress> address = IpAddress::Parse(text);
  return address.ok() && address->is_v4() && !address->is_multicast();
}

bool IsHostName(std::string_view text) {
  return !text.empty() && text.size() <= 253 && text.front() != '-' && text.front() != '.' &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                  c == '.';
         });
}

// True, and *text without it, if *text begins with `prefix`.
bool Eat(std::string_view* text, std::string_view prefix) {
  if (!text->starts_with(prefix)) return false;
  text->remove_prefix(prefix.size());
  return true;
}

// "A:B" with `left` good for A and a port as B.
bool IsPair(std::string_view text, bool (*left)(std::string_view)) {
  const size_t colon = text.rfind(':');
  return colon != std::string_view::npos && left(text.substr(0, colon)) && IsPort(text.substr(colon + 1));
}

bool IsLevelWord(std::string_view text) {
  constexpr std::array<std::string_view, 6> kLevels = {"trace", "debug", "info", "warn", "error", "off"};
  return std::find(kLevels.begin(), kLevels.end(), text) != kLevels.end();
}

bool IsLogLevels(std::string_view text) {
  while (true) {
    const size_t comma = text.find(',');
    const std::string_view part = text.substr(0, comma);
    const size_t equals = part.find('=');
    const bool good = equals == std::string_view::npos ? IsLevelWord(part)
                                                       : equals > 0 && IsLevelWord(part.substr(equals + 1));
    if (!good) return false;
    if (comma == std::string_view::npos) return true;
    text.remove_prefix(comma + 1);
  }
}

}  // namespace

Codec<std::string> Path() { return Text("path", "a path of at most 4095 bytes", IsPath); }

Codec<std::string> SocketPath() {
  return Text("path", "a path of at most 107 bytes (a unix socket)",
              [](std::string_view text) { return IsPath(text) && text.size() <= kMaxSocketPath; });
}

Codec<std::string> LogLevels() {
  return Text("log levels",
              "LEVEL or MODULE=LEVEL, separated by commas; levels trace, debug, info, warn, error, off",
              IsLogLevels);
}

Codec<std::string> OpenFlowListen() {
  return Text("endpoint", "ptcp:PORT:IPV4 or punix:PATH", [](std::string_view text) {
    if (Eat(&text, "punix:")) return IsPath(text);
    if (!Eat(&text, "ptcp:")) return false;
    const size_t colon = text.find(':');
    return colon != std::string_view::npos && IsPort(text.substr(0, colon)) &&
           IsHostAddress(text.substr(colon + 1));
  });
}

Codec<std::string> OpenFlowTarget() {
  return Text("endpoint", "tcp:IPV4:PORT or unix:PATH", [](std::string_view text) {
    if (Eat(&text, "unix:")) return IsPath(text);
    return Eat(&text, "tcp:") && IsPair(text, IsHostAddress) && !text.starts_with("0.");
  });
}

Codec<std::string> ZmqBind() {
  return Text("endpoint", "tcp://IPV4:PORT, tcp://*:PORT or ipc://PATH", [](std::string_view text) {
    if (Eat(&text, "ipc://")) return IsPath(text) && text.size() <= kMaxSocketPath;
    return Eat(&text, "tcp://") &&
           IsPair(text, [](std::string_view host) { return host == "*" || IsHostAddress(host); });
  });
}

Codec<std::string> ZmqConnect() {
  return Text("endpoint", "tcp://HOST:PORT or ipc://PATH", [](std::string_view text) {
    if (Eat(&text, "ipc://")) return IsPath(text) && text.size() <= kMaxSocketPath;
    return Eat(&text, "tcp://") && IsPair(text, IsHostName) && !text.starts_with("0.0.0.0:");
  });
}

Codec<std::string> TcpListen() {
  return Text("endpoint", "IPV4:PORT", [](std::string_view text) { return IsPair(text, IsHostAddress); });
}

Codec<std::string> LoadListen() {
  return Text("endpoint", "IPV4:PORT, [IPV6]:PORT or unix:PATH", [](std::string_view text) {
    if (Eat(&text, "unix:")) return IsPath(text) && text.size() <= kMaxSocketPath;
    const Result<IpEndpoint> at = IpEndpoint::Parse(text);
    return at.ok() && !at->address.is_multicast();
  });
}

Codec<std::string> CommandWord() {
  return Text("text", "1 to 4095 bytes without NUL and line ends", [](std::string_view text) {
    return !text.empty() && text.size() <= kMaxPath &&
           text.find_first_of(std::string_view("\0\n\r", 3)) == text.npos;
  });
}

Codec<std::string> HttpUrl() {
  return Text("URL", "http://HOST:PORT/PATH", [](std::string_view text) {
    if (text.size() > 1024 || !Eat(&text, "http://")) return false;
    const size_t slash = text.find('/');
    return slash != std::string_view::npos && IsPair(text.substr(0, slash), IsHostName) &&
           std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
  });
}

}  // namespace dyncast::config
