// What an application posts about itself: a load report, over HTTP, to the agent's orca_listen. Pure.
//   POST /v1/load/INSTANCE   Content-Type: application/json, application/x-protobuf or text/plain
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "agent/core/orca.h"
#include "schema/base/ip.h"
#include "schema/base/result.h"
#include "schema/config/agent.h"

namespace dyncast::agent {

struct LoadPost {
  std::string path;
  std::string content_type;
  std::string body;
  std::optional<IpAddress> peer;  // absent: over a unix socket
};

// The instance that `path` names; empty where the path is not of that form.
std::string_view InstanceOfPath(std::string_view path);

// An instance may speak for itself (from its D-BID), this host for all of its instances, and the networks of
// `orca_allow` too.
bool MayPost(const config::AgentConfig& agent, const config::InstanceConfig& instance,
             const std::optional<IpAddress>& peer);

// kNotFound: no form of that content type is known.
Result<LoadReport> ReadPost(const LoadPost& post);

}  // namespace dyncast::agent
