// The option tables as markdown.
#pragma once

#include <string>

#include "schema/config/option.h"

namespace dyncast::config {

// A section for the file's own keys and one for each map in it: key, type, default, what is allowed, and
// the description.
std::string ReferenceMarkdown(const TableInfo& table);

// docs/configuration.md: an introduction and the reference of both files.
std::string ConfigurationDocument();

}  // namespace dyncast::config
