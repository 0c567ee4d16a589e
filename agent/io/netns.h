// Sockets in another network namespace. A socket belongs for its whole life to the namespace of the
// thread that made it, so a short-lived thread enters the namespace, makes the socket and ends: no other
// thread is ever in the wrong namespace, whatever fails.
#pragma once

#include <string>

#include "schema/base/result.h"

namespace dyncast::agent {

// A socket as by socket(2), close-on-exec and non-blocking, in the namespace at `path` ("": the caller's
// own). The caller owns the descriptor. Entering needs CAP_SYS_ADMIN; the error names what is missing.
Result<int> OpenSocketIn(const std::string& path, int family, int type, int protocol);

// Why the namespace's file at `path` could not be looked at or opened, with the capability that is missing.
Error NamespaceError(const std::string& path, int error_number);

}  // namespace dyncast::agent
