// What each command of dyncastctl asks, and what it does with the answer.
#pragma once

#include <string>
#include <vector>

namespace dyncast::ctl {

enum class Output : unsigned char { kHuman, kJson };
enum class Follow : unsigned char { kNo, kYes };

struct Command {
  std::string name;  // "status", "services", ...
  std::string socket_path;
  Output output = Output::kHuman;
  std::vector<std::string> names;  // rows to show of a list; the one instance of drain and undrain
  // Options by their names without dashes ("service", "limit", ...); only those given.
  std::vector<std::pair<std::string, std::string>> options;
  Follow follow = Follow::kNo;
};

// Prints to stdout, errors to stderr; returns the exit code.
int Execute(const Command& command);

}  // namespace dyncast::ctl
