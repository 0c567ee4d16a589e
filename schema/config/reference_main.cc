// dyncast-config-reference: prints docs/configuration.md.
#include <cstdio>

#include "schema/config/reference.h"

int main() {
  const std::string document = dyncast::config::ConfigurationDocument();
  return std::fwrite(document.data(), 1, document.size(), stdout) == document.size() ? 0 : 1;
}
