#include "agent/core/load_post.h"

#include <algorithm>

#include "agent/core/text.h"

namespace dyncast::agent {
namespace {

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

}  // namespace

std::string_view InstanceOfPath(std::string_view path) {
  constexpr std::string_view kPrefix = "/v1/load/";
  if (!path.starts_with(kPrefix)) return {};
  return path.substr(kPrefix.size());
}

bool MayPost(const config::AgentConfig& agent, const config::InstanceConfig& instance,
             const std::optional<IpAddress>& peer) {
  if (!peer || peer->is_loopback() || *peer == instance.bid) return true;
  return std::any_of(agent.orca_allow.begin(), agent.orca_allow.end(),
                     [&](const IpPrefix& network) { return network.Contains(*peer); });
}

Result<LoadReport> ReadPost(const LoadPost& post) {
  const std::string_view type = post.content_type;
  const std::string form = Lower(TrimBlanks(type.substr(0, type.find(';'))));
  if (form == "application/json") return ParseOrcaJson(post.body);
  if (form == "application/x-protobuf" || form == "application/protobuf") return ParseOrcaBinary(post.body);
  if (form == "text/plain") return ParseOrcaText(post.body);
  return MakeError(Errc::kNotFound,
                   "Content-Type must be application/json, application/x-protobuf or text/plain, found " +
                       Quoted(post.content_type));
}

}  // namespace dyncast::agent
