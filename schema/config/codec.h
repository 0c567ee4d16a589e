// The kinds of scalar values that the configuration files know: text to value, and back for the reference.
#pragma once

#include <fmt/core.h>

#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "schema/base/ip.h"
#include "schema/base/time.h"
#include "schema/config/option.h"
#include "schema/model/service.h"

namespace dyncast::config {

inline Error Broken(std::string_view rule) { return MakeError(Errc::kInvalid, std::string(rule)); }

// "500ms", "5s", "2m", "1h", "7d", "100us": a whole number and a unit.
Result<Micros> ParseDuration(std::string_view text);
// With the largest unit that keeps it whole.
std::string FormatDuration(Micros duration);

// "64kbit", "100mbit", "10gbit", "9600bit": a whole number and a unit of bit/s; with the largest unit that
// keeps it whole.
Codec<uint64_t> BitRate();
std::string FormatBitRate(uint64_t bit_s);

// D: the member's duration; a value that D cannot hold exactly is refused.
template <typename D>
Codec<D> Duration(D min, D max) {
  const std::string rule = fmt::format("{} to {}", FormatDuration(min), FormatDuration(max));
  return {.type = "duration",
          .rule = rule,
          .parse = [min, max, rule](std::string_view text) -> Result<D> {
            Result<Micros> micros = ParseDuration(text);
            if (!micros.ok()) return micros.error();
            if (*micros < Micros(min) || *micros > Micros(max)) return Broken("must be " + rule);
            const D value = std::chrono::duration_cast<D>(*micros);
            if (Micros(value) != *micros) return Broken("must be a multiple of " + FormatDuration(D{1}));
            return value;
          },
          .format = [](const D& d) { return FormatDuration(d); }};
}

template <typename U>
Codec<U> Unsigned(U min, U max) {
  const std::string rule = fmt::format("{} to {}", min, max);
  return {.type = "integer",
          .rule = rule,
          .parse = [min, max, rule](std::string_view text) -> Result<U> {
            U value = 0;
            const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
            if (error != std::errc{} || end != text.data() + text.size() || value < min || value > max) {
              return Broken("must be an integer, " + rule);
            }
            return value;
          },
          .format = [](const U& value) { return fmt::format("{}", value); }};
}

enum class Bound : uint8_t { kIncluded, kExcluded };

// A finite number from (or above) `min` to `max`.
Codec<double> Number(double min, Bound bound, double max);
Codec<bool> Boolean();

// One word of a closed set.
template <typename E>
struct Word {
  std::string_view word;
  E value{};
};

template <typename E>
Codec<E> Words(std::vector<Word<E>> words) {
  std::string rule;
  for (const Word<E>& word : words) {
    if (!rule.empty()) rule += ", ";
    rule += fmt::format("`{}`", word.word);
  }
  return {.type = "word",
          .rule = rule,
          .parse = [words](std::string_view text) -> Result<E> {
            std::string known;
            for (const Word<E>& word : words) {
              if (word.word == text) return word.value;
              known += (known.empty() ? "" : ", ") + std::string(word.word);
            }
            return Broken("must be one of: " + known);
          },
          .format =
              [words](const E& value) {
                for (const Word<E>& word : words) {
                  if (word.value == value) return std::string(word.word);
                }
                return std::string();
              }};
}

// Text with a rule of its own. `rule` reads on after "must be ".
Codec<std::string> Text(std::string type, std::string rule, bool (*good)(std::string_view));

Codec<std::string> Name();            // [a-z0-9][a-z0-9-]{0,62}
Codec<std::string> MetricNameText();  // [a-z][a-z0-9_]{0,62}
Codec<std::string> Unit();
Codec<std::string> InterfaceName();  // as Linux takes it: 1 to 15 bytes
Codec<std::string> Path();           // a file's path
Codec<std::string> SocketPath();     // a path that fits into a unix socket's address
Codec<std::string> LogLevels();      // "info", "switch=debug,info"

Codec<std::string> OpenFlowListen();  // ptcp:PORT:IP, punix:PATH
Codec<std::string> OpenFlowTarget();  // tcp:IP:PORT, unix:PATH; also OVSDB's form
Codec<std::string> ZmqBind();         // tcp://IP:PORT, tcp://*:PORT, ipc://PATH
Codec<std::string> ZmqConnect();      // tcp://HOST:PORT, ipc://PATH
Codec<std::string> TcpListen();       // IPv4:PORT
Codec<std::string> HttpUrl();         // http://HOST:PORT/PATH
Codec<std::string> LoadListen();      // IPV4:PORT, [IPV6]:PORT, unix:PATH
Codec<std::string> CommandWord();     // a program's path or one of its arguments

Codec<IpAddress> UnicastAddress();
Codec<IpEndpoint> UdpEndpoint();     // "10.0.0.1:862", "[fd00::1]:862"; "0.0.0.0" and "[::]" too
Codec<IpPrefix> Network();           // host bits clear
Codec<IpPrefix> InterfaceAddress();  // an address that a host can have within its network
Codec<MacAddress> UnicastMac();
Codec<PortRange> ServicePorts();                // "tcp/8080", "udp/5000-5010", "icmp"
std::string PortsText(const PortRange& range);  // in the same form

}  // namespace dyncast::config
