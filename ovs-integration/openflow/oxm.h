// Reads OXM fields (OpenFlow 1.5.1 section 7.2.3) as far as our own flows and packet-ins have them:
// registers, and the little that our flows match beside them. By hand: a binding is read a hundred thousand
// times a second.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "ovs-integration/openflow/wire.h"
#include "ovs-integration/pipeline/layout.h"
#include "schema/base/ids.h"
#include "schema/model/binding.h"

namespace dyncast::openflow {

struct OxmFields {
  std::array<uint32_t, 16> reg{};
  std::array<uint32_t, 16> mask{};        // 0: not there
  uint32_t in_port = 0;                   // 0: not there
  uint16_t eth_type = 0;                  // 0: not there
  uint8_t ip_proto = 0;                   // 0: not there
  std::array<uint8_t, 16> source{};       // IP address: an IPv4 one in the first four octets
  std::array<uint8_t, 16> source_mask{};  // none set: not there
  uint16_t source_type = 0;               // the eth_type that it goes with; 0: not there
  uint16_t src_port = 0;                  // 0: not there, no flow of ours matches that port
  uint16_t dst_port = 0;
  uint8_t port_proto = 0;  // the ip_proto that the ports go with; 0: not there
  bool others = false;     // a field that is none of these
};
// nullopt: cut off, or a register with a length that no register has.
std::optional<OxmFields> ReadOxm(ByteView fields);

// An ofp_match at the front of `data`: its fields, and its size with the filling. nullopt: no whole one.
struct OxmMatch {
  ByteView fields;
  size_t size = 0;
};
std::optional<OxmMatch> CutMatch(ByteView data);

// The key of a binding flow with this match and cookie, of a table with flows of that form; nullopt for a
// flow that is none of ours in shape: other fields or masks than pipeline::BindingMatch says, another service
// than the cookie's, no instance.
struct MatchedKey {
  BindingKey key;
  uint8_t client_bits = kAllClientBits;
  bool pushed = false;  // kRegisters: the match has TCP in front, which no learned flow has
};
std::optional<MatchedKey> ReadBindingKey(ByteView fields, const pipeline::Cookie& cookie, KeyForm form);

// The table's place; nullopt: not a table of bindings.
std::optional<BindingPlace> PlaceOfTable(uint8_t table);
uint8_t TableOf(BindingPlace place);

}  // namespace dyncast::openflow
