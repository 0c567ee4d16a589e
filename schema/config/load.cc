#include "schema/config/load.h"

#include <fmt/core.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <system_error>

#include "schema/config/yaml_tree.h"

namespace dyncast::config {
namespace {

Error CannotRead(const std::string& path, int error) {
  return MakeError(error == ENOENT ? Errc::kNotFound : Errc::kIo,
                   fmt::format("{}: cannot be read: {}", path, std::generic_category().message(error)));
}

}  // namespace

Result<std::string> ReadConfigFile(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"), &std::fclose);
  if (file == nullptr) return CannotRead(path, errno);
  std::string text(kMaxYamlBytes + 1, '\0');
  errno = 0;
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()) != 0) return CannotRead(path, errno);
  return text;
}

}  // namespace dyncast::config
