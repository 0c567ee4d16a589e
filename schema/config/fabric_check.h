// The second pass over fabric.yaml: what is left out is filled in, then the rules across values.
#pragma once

#include "schema/config/fabric.h"
#include "schema/config/reader.h"

namespace dyncast::config {

// Defaults that depend on other values: openflow_target, sources, tunnel ports, fin_timeout and what it says
// of the store, D-SIDs from the pool.
void FillIn(Reader& reader, FabricConfig& config);
// The rules across values. Values that broke a rule of their own are skipped: they hold their default.
void CheckFabric(Reader& reader, const FabricConfig& config);

// Within CheckFabric:
void CheckSwitches(Reader& reader, const FabricConfig& config);
void CheckTunnels(Reader& reader, const FabricConfig& config);
void CheckServices(Reader& reader, const FabricConfig& config);
void CheckScores(Reader& reader, const FabricConfig& config);

// The address of "tcp:ADDRESS:PORT" or "tcp://ADDRESS:PORT"; nothing for another form.
std::optional<IpAddress> TcpAddress(std::string_view endpoint);

// Every address that a gateway or a next hop has, with what it is ("an address of switch 'dr1'").
std::map<IpAddress, std::string> RouterAddresses(const FabricConfig& config);

}  // namespace dyncast::config
