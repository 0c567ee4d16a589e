// Files of the source tree, for tests.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

namespace dyncast::config {

// ctest sets the folder; by hand it is the current one.
inline std::string SourcePath(const std::string& path) {
  const char* folder = std::getenv("DYNCAST_SOURCE_DIR");
  return std::string(folder == nullptr ? "." : folder) + "/" + path;
}

inline std::string ReadSource(const std::string& path) {
  std::ifstream in(SourcePath(path), std::ios::binary);
  if (!in) ADD_FAILURE() << "cannot read " << SourcePath(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace dyncast::config
