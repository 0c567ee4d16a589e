#include "controller/ctl/commands.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>
#include <utility>

#include "controller/ctl/client.h"
#include "controller/ctl/render.h"
#include "schema/base/time.h"

namespace dyncast::ctl {
namespace {

constexpr auto kFollowInterval = std::chrono::milliseconds(500);

int Fail(const Error& error) {
  std::fprintf(stderr, "dyncastctl: %s\n", error.ToString().c_str());
  return ExitCode(error);
}

bool Print(const std::string& text) {
  return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
}

std::string Query(const Command& command, std::initializer_list<std::string_view> passed) {
  std::string query;
  for (const auto& [key, value] : command.options) {
    if (std::find(passed.begin(), passed.end(), key) == passed.end()) continue;
    query += (query.empty() ? "?" : "&") + key + "=" + PercentEncode(value);
  }
  return query;
}

Result<Answer> Ask(const Client& client, const Command& command) {
  const std::string path = "/v1/" + command.name;
  if (command.name == "bindings") {
    return client.Get(path + Query(command, {"service", "client", "instance", "switch", "limit"}));
  }
  if (command.name == "events") return client.Get(path + Query(command, {"after", "limit"}));
  if (command.name == "metrics") {
    return client.Get(path +
                      Query(command, {"instance", "service", "site", "switch", "level", "category", "name"}));
  }
  if (command.name == "paths") return client.Get(path + Query(command, {"agent", "peer"}));
  if (command.name == "links") return client.Get(path + Query(command, {"switch"}));
  if (command.name == "explain") {
    return client.Get(path + Query(command, {"client", "service", "port", "proto", "switch"}));
  }
  if (command.name == "drain" || command.name == "undrain") {
    return client.Post(path + Query(command, {"instance", "deadline_s"}));
  }
  if (command.name == "check") return client.Post(path);
  if (command.name == "sync") return client.Post(path + Query(command, {"switch"}));
  return client.Get(path);
}

// What the controller does not filter is filtered here, for text and JSON alike.
Result<Json> Filter(const Command& command, Json answer) {
  Result<Json> filtered = FilterRows(command.name, "name", command.names, std::move(answer));
  for (const auto& [key, value] : command.options) {
    const bool ours = command.name == "instances";
    if (!filtered.ok()) break;
    if (ours) filtered = FilterRows(command.name, key, {value}, std::move(*filtered));
  }
  return filtered;
}

Result<std::string> Render(const std::string& command, const Json& answer) {
  const WallTime now = ReadClocks().wall;
  if (command == "status") return RenderStatus(answer);
  if (command == "explain") return RenderExplain(answer, now);
  if (command == "check") return RenderCheck(answer);
  if (command == "sync") return RenderSync(answer);
  if (command == "drain" || command == "undrain") return RenderDrain(answer);
  return RenderList(command, answer, now);
}

// Prints events as they come, for ever; one JSON object a line with --json. A controller that restarts
// is waited for.
int FollowEvents(const Client& client, Command command) {
  bool away = false;
  for (bool first = true;; first = false) {
    Result<Answer> answer = Ask(client, command);
    if (answer.ok() && answer->status >= 400) return Fail(ErrorOf(answer->status, answer->json));
    if (!answer.ok() && first) return Fail(answer.error());
    if (!answer.ok() && !away) std::fprintf(stderr, "dyncastctl: the controller is away; waiting\n");
    away = !answer.ok();
    if (answer.ok()) {
      std::string text;
      for (const Json& event : Field(answer->json, "events")) {
        text += command.output == Output::kJson ? event.dump() + "\n" : RenderEvent(event);
        const Json& id = Field(event, "id");
        if (!id.is_number_integer()) continue;
        std::erase_if(command.options, [](const auto& option) { return option.first == "after"; });
        command.options.emplace_back("after", id.dump());
      }
      if (!Print(text)) return 2;
    }
    std::this_thread::sleep_for(kFollowInterval);
  }
}

}  // namespace

int Execute(const Command& command) {
  const Client client(command.socket_path);
  if (command.follow == Follow::kYes) return FollowEvents(client, command);
  Result<Answer> answer = Ask(client, command);
  if (!answer.ok()) return Fail(answer.error());
  if (answer->status >= 400) return Fail(ErrorOf(answer->status, answer->json));
  const Json received = answer->json;
  Result<Json> filtered = Filter(command, std::move(answer->json));
  if (!filtered.ok()) return Fail(filtered.error());
  if (command.output == Output::kJson) {
    std::string text = *filtered == received ? answer->body : filtered->dump();
    if (text.empty() || text.back() != '\n') text += '\n';
    if (!Print(text)) return 2;
  } else {
    Result<std::string> text = Render(command.name, *filtered);
    if (!text.ok()) return Fail(text.error());
    if (!Print(*text)) return 2;
  }
  return IsSo(command.name, *filtered) ? 0 : 1;
}

}  // namespace dyncast::ctl
