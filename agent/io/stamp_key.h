// A STAMP key from its file. It is never written anywhere.
#pragma once

#include <string>

#include "agent/core/stamp.h"
#include "schema/base/result.h"

namespace dyncast::agent {

// The file's content without one newline at its end: 16 to 1024 octets of any value. Refused if it is not a
// regular file, or if others than its owner and group may read or write it. "": an empty key.
Result<StampKey> LoadStampKey(const std::string& path);

}  // namespace dyncast::agent
