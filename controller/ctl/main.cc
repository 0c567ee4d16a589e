// dyncastctl: asks a running controller, over its unix socket, and shows the answer.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>

#include "controller/ctl/commands.h"
#include "controller/ctl/text.h"

namespace {

using dyncast::ctl::Command;

// Adds `--NAME` whose value, where given, becomes an option of the command.
void AddOption(CLI::App* sub, Command* command, const std::string& name, const std::string& help) {
  sub->add_option_function<std::string>(
      "--" + name, [command, name](const std::string& value) { command->options.emplace_back(name, value); },
      help);
}

void AddList(CLI::App* app, Command* command, const char* name, const char* help) {
  CLI::App* sub = app->add_subcommand(name, help);
  sub->add_option("NAME", command->names, "Show only these");
}

void AddNumber(CLI::App* sub, Command* command, const std::string& name, uint64_t largest,
               const std::string& help) {
  sub->add_option_function<uint64_t>(
         "--" + name,
         [command, name](uint64_t value) { command->options.emplace_back(name, std::to_string(value)); },
         help)
      ->check(CLI::Range(uint64_t{0}, largest));
}

void AddDrain(CLI::App* app, Command* command) {
  CLI::App* drain = app->add_subcommand("drain", "Give an instance no new demands; its bindings stay");
  CLI::App* undrain = app->add_subcommand("undrain", "Let an instance take demands again");
  for (CLI::App* sub : {drain, undrain}) {
    sub->add_option_function<std::string>(
           "INSTANCE",
           [command](const std::string& value) { command->options.emplace_back("instance", value); },
           "Its name")
        ->required();
  }
  drain->add_option_function<std::string>(
      "--deadline",
      [command](const std::string& value) {
        const auto deadline = dyncast::ctl::ParseSeconds(value);
        if (!deadline.ok()) throw CLI::ValidationError("--deadline", deadline.error().message);
        command->options.emplace_back("deadline_s", std::to_string(deadline->count()));
      },
      "After this long its bindings move (30s, 5m); without it they end by themselves");
}

void AddExplain(CLI::App* app, Command* command) {
  CLI::App* sub = app->add_subcommand("explain", "Where a demand is bound, where it would go now, and why");
  for (const char* name : {"client", "service"}) {
    const std::string key = name;
    sub->add_option_function<std::string>(
           key == "client" ? "CLIENT" : "SERVICE",
           [command, key](const std::string& value) { command->options.emplace_back(key, value); },
           key == "client" ? "IP address, or IP:PORT ([IPv6]:PORT) with the source port" : "Name or D-SID")
        ->required();
  }
  AddNumber(sub, command, "port", 65535, "Destination port, where the service has several");
  AddOption(sub, command, "proto", "Protocol, where the service has several: tcp, udp, sctp or icmp");
  AddOption(sub, command, "switch", "As seen from this switch");
}

void AddCommands(CLI::App* app, Command* command) {
  app->add_subcommand("status", "The controller at a glance");
  AddList(app, command, "services", "Services, their policy and use");
  AddList(app, command, "instances", "Instances, their state, load and bindings");
  CLI::App* instances = app->get_subcommand("instances");
  AddOption(instances, command, "service", "Only of this service");
  AddOption(instances, command, "agent", "Only of this agent");
  AddOption(instances, command, "state", "Only up, draining or down");
  AddList(app, command, "switches", "Switches and how far they are in sync");
  AddList(app, command, "agents", "Agents and what was heard of them");
  CLI::App* metrics =
      app->add_subcommand("metrics", "Metrics and scores: of instances, of sites, of the ways to sites");
  for (const char* name : {"instance", "service", "site", "switch"}) {
    AddOption(metrics, command, name, std::string("Only of this ") + name);
  }
  AddOption(metrics, command, "level", "Only L0, L1 or L2");
  AddOption(metrics, command, "category", "Only compute, communication or service");
  AddOption(metrics, command, "name", "Only this metric");
  CLI::App* paths = app->add_subcommand("paths", "The network between agents, as they measure it");
  AddOption(paths, command, "agent", "Only what this agent says");
  AddOption(paths, command, "peer", "Only of the ways to this agent");
  CLI::App* links = app->add_subcommand("links", "Traffic and load of the switches' ports");
  AddOption(links, command, "switch", "Only of this switch");
  CLI::App* bindings = app->add_subcommand("bindings", "Which client is bound to which instance");
  for (const char* name : {"service", "client", "instance", "switch"}) {
    AddOption(bindings, command, name, std::string("Only of this ") + name);
  }
  AddNumber(bindings, command, "limit", 100000, "At most so many (1000)");
  CLI::App* events = app->add_subcommand("events", "What happened, newest last");
  AddNumber(events, command, "limit", 100000, "At most so many (100)");
  AddNumber(events, command, "after", INT64_MAX, "Only those with a larger id");
  events->add_flag_function(
      "--follow", [command](int64_t) { command->follow = dyncast::ctl::Follow::kYes; }, "Go on as they come");
  AddExplain(app, command);
  AddDrain(app, command);
  app->add_subcommand("check", "Compare switches, binding table and database; change nothing");
  CLI::App* sync = app->add_subcommand("sync", "Compare the switches with what they must hold, and repair");
  AddOption(sync, command, "switch", "Only this one");
}

}  // namespace

int main(int argc, char** argv) {
  Command command;
  command.socket_path = "/run/dyncast/controller.sock";
  bool json = false;
  CLI::App app("Asks a running dyncast-controller.", "dyncastctl");
  app.set_version_flag("--version", std::string("dyncastctl ") + DYNCAST_VERSION);
  app.add_option("--socket", command.socket_path, "The controller's unix socket")
      ->envname("DYNCAST_SOCKET")
      ->capture_default_str();
  app.add_flag("--json", json, "Print the answer as one JSON document");
  app.require_subcommand(1);
  app.footer("Exit codes: 0 fine, 1 what was asked is not so, 2 usage or no controller.");
  AddCommands(&app, &command);
  for (CLI::App* sub : app.get_subcommands({})) sub->fallthrough();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  command.name = app.get_subcommands().at(0)->get_name();
  command.output = json ? dyncast::ctl::Output::kJson : dyncast::ctl::Output::kHuman;
  return dyncast::ctl::Execute(command);
}
