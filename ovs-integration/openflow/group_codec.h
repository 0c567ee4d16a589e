// Select groups as octets: written from a Group and read back from a switch's description of it. A group of
// 1024 slots has 49 kB, too much to go through text; one bucket goes through libopenvswitch as a template,
// and the rest are its copies.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ovs-integration/openflow/wire.h"
#include "ovs-integration/pipeline/compile.h"
#include "schema/base/result.h"

namespace dyncast::openflow {

// By id. One whose shape we never make has no slots, so that it differs from any that is wanted.
using Groups = std::map<uint32_t, pipeline::Group>;

enum class GroupCommand : uint16_t { kAdd = 0, kModify = 1, kDelete = 2 };  // ofp15_group_mod_command

class GroupCodec {
 public:
  // Made once: the template is that of pipeline::ToText(Group).
  static const GroupCodec& Get();

  // Octets of its group_mod in a bundle. 64 kB is what a message holds.
  size_t BundledSize(const pipeline::Group& group, GroupCommand command) const;
  // kLimit: too many slots for one message; kInvalid: no slots, an instance id 0.
  Status Check(const pipeline::Group& group) const;
  // Precondition: Check.
  void WriteBundled(OutBuffer* out, uint32_t xid, uint32_t bundle_id, GroupCommand command,
                    const pipeline::Group& group) const;
  // Appends what one group description reply holds. Errors: kProtocol.
  Status Read(ByteView message, Groups* found) const;

 private:
  GroupCodec();
  std::optional<InstanceId> ReadBucket(ByteView bucket, uint32_t id) const;

  Bytes bucket_;                  // of bucket 0
  std::vector<size_t> instance_;  // where the instance id stands in it, 2 octets each
  Bytes properties_;              // of the group
};

void WriteGroupDescRequest(OutBuffer* out, uint32_t xid);

// "select group 5 (service 5, IPv4): 1024 slots of 3 instances", for people.
std::string GroupName(const pipeline::Group& group);
// The service of a group id of the layout; nullopt: not one.
std::optional<ServiceId> ServiceOfGroup(uint32_t group_id);

}  // namespace dyncast::openflow
