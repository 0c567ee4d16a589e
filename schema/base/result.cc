#include "schema/base/result.h"

namespace dyncast {

std::string_view ErrcName(Errc code) {
  switch (code) {
    case Errc::kInvalid: return "invalid";
    case Errc::kParse: return "parse";
    case Errc::kUnknownKey: return "unknown_key";
    case Errc::kDuplicate: return "duplicate";
    case Errc::kConflict: return "conflict";
    case Errc::kNotFound: return "not_found";
    case Errc::kLimit: return "limit";
    case Errc::kIo: return "io";
    case Errc::kUnavailable: return "unavailable";
    case Errc::kProtocol: return "protocol";
    case Errc::kInternal: return "internal";
  }
  return "internal";
}

std::string Error::ToString() const { return where.empty() ? message : where + ": " + message; }

}  // namespace dyncast
