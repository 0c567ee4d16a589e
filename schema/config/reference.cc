#include "schema/config/reference.h"

#include <fmt/core.h>

#include "schema/config/agent.h"
#include "schema/config/fabric.h"

namespace dyncast::config {
namespace {

// A cell of a markdown table must not end it.
std::string Cell(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

// A literal default stands in backquotes, a described one ("from `openflow_listen`") as it is.
std::string DefaultCell(const OptionInfo& option) {
  if (option.presence == Presence::kRequired) return "required";
  if (option.fallback.empty()) return "";
  if (option.fallback.find(' ') != std::string::npos || option.fallback == "none" ||
      option.fallback == "unknown") {
    return option.fallback;
  }
  return "`" + option.fallback + "`";
}

void Write(std::string& out, const std::string& path, const TableInfo& table) {
  out += path.empty() ? "### Top level\n\n" : fmt::format("### `{}`\n\n", path);
  out += "| key | type | default | allowed | meaning |\n|---|---|---|---|---|\n";
  for (const OptionInfo& option : table.options) {
    out += fmt::format("| `{}` | {} | {} | {} | {} |\n", option.key, Cell(option.type),
                       Cell(DefaultCell(option)), Cell(option.rule), Cell(option.description));
  }
  out += "\n";
  for (const OptionInfo& option : table.options) {
    for (const TableInfo& child : option.children) {
      const std::string list = option.type == "list of maps" ? "[]" : "";
      Write(out, ChildPath(path, option.key) + list, child);
    }
  }
}

constexpr std::string_view kIntroduction = R"(# Configuration
Two files: `fabric.yaml` for the controller and `agent.yaml` for each metric agent. Complete examples with
comments: [examples/fabric.yaml](examples/fabric.yaml) and [examples/agent.yaml](examples/agent.yaml);
with a D-Forwarder: [examples/figure4.yaml](examples/figure4.yaml).

This page is made from the option tables that also read and check the files. After a change there:
`dyncast-config-reference > docs/configuration.md`.

- A file is one YAML document of at most 1 MiB, without anchors, aliases and tags.
- Every key is known and said once; anything else is an error.
- `--check-config` reads a file, prints what is wrong with it and exits. All errors are found at once, one a
  line: `fabric.yaml:12:21: key 'services[1].affinity.idle_timeout': value '0s': must be 1s to 65535s`.
- A duration is a whole number with a unit: `100us`, `500ms`, `5s`, `2m`, `1h`, `7d`.
- A name is of the form `[a-z0-9][a-z0-9-]{0,62}`, a metric's name of the form `[a-z][a-z0-9_]{0,62}`.
- `--check-config` also prints warnings: what is accepted, but may not do what was meant.
- Services, ports, routes, sources and D-BIDs may have IPv4 and IPv6 addresses; the endpoints of controller,
  switches and agents are IPv4. An instance has one D-BID: a service with two D-SIDs needs instances of both
  versions.
- On SIGHUP the file is read again; one with an error keeps the old configuration and says why.

)";

}  // namespace

std::string ReferenceMarkdown(const TableInfo& table) {
  std::string out;
  Write(out, "", table);
  return out;
}

std::string ConfigurationDocument() {
  std::string out(kIntroduction);
  out += "## fabric.yaml\n\n" + FabricReferenceMarkdown();
  out += "## agent.yaml\n\n" + AgentReferenceMarkdown();
  out.pop_back();  // one newline at the end
  return out;
}

}  // namespace dyncast::config
