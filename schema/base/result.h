// Result<T>: a value or an Error with a closed code. No exception crosses a folder of this project.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace dyncast {

// The closed set of failures. A caller may switch over it; the text is for people only.
enum class Errc : uint8_t {
  kInvalid,     // a value breaks a rule
  kParse,       // bytes or text that are not of the form they should have
  kUnknownKey,  // a key that no option table names
  kDuplicate,   // said twice where once is allowed
  kConflict,    // contradicts something already accepted
  kNotFound,
  kLimit,        // a bound was reached
  kIo,           // the operating system or a library refused
  kUnavailable,  // a peer is away; trying again later makes sense
  kProtocol,     // a peer broke a protocol
  kInternal,     // a broken promise inside this program
};

// Stable lower-case name, for logs, JSON and metrics ("invalid", "parse", ...).
std::string_view ErrcName(Errc code);

// `where` names the place (file:line:column, peer, switch), `message` the value and the rule it broke.
struct Error {
  Errc code = Errc::kInternal;
  std::string where;
  std::string message;

  // "where: message", or only the message where the place is unknown.
  std::string ToString() const;
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  // Precondition: ok().
  T& value() { return std::get<0>(state_); }
  const T& value() const { return std::get<0>(state_); }
  T& operator*() { return value(); }
  const T& operator*() const { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  // Precondition: !ok().
  const Error& error() const { return std::get<1>(state_); }
  Error& error() { return std::get<1>(state_); }

 private:
  std::variant<T, Error> state_;
};

using Status = Result<std::monostate>;
inline Status Ok() { return std::monostate{}; }
inline Error MakeError(Errc code, std::string message, std::string where = {}) {
  return Error{code, std::move(where), std::move(message)};
}

}  // namespace dyncast
