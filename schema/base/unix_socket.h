// A listening unix socket, for programs on the same host.
#pragma once

#include <string>

#include "schema/base/result.h"

namespace dyncast {

// Makes the folder if it is missing, removes a socket that nobody serves any more, binds with mode 0660
// and listens. The descriptor is the caller's. kConflict: somebody answers on it already.
Result<int> ListenUnix(const std::string& path);

}  // namespace dyncast
