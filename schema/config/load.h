// Reading a configuration file.
#pragma once

#include <string>

#include "schema/base/result.h"

namespace dyncast::config {

// The whole file, of which no more than what ParseYaml takes (and one byte) is read. The error's message is
// "PATH: ...".
Result<std::string> ReadConfigFile(const std::string& path);

}  // namespace dyncast::config
