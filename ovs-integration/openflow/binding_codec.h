// Encodes bindings by patching a few octets of ready-made messages: ten to a hundred times
// faster than libopenvswitch's encoders, and equal to them octet by octet (a property test compares).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "ovs-integration/openflow/wire.h"
#include "schema/base/ids.h"
#include "schema/model/binding.h"

namespace dyncast::openflow {

// A template is made for each shape (family, protocol, which ports, FIN timeout) when it is first met: the
// specification pipeline::CompileBinding is encoded by libopenvswitch with known values, each value is
// changed alone, and the octets that change are its places. A shape whose values cannot all be found that
// way, or whose template fails the check with other values, is encoded by libopenvswitch each time.
class BindingEncoder {
 public:
  BindingEncoder();
  ~BindingEncoder();

  // Appends an OFPT_FLOW_MOD. False if libopenvswitch refuses the flow: nothing is appended.
  [[nodiscard]] bool WriteAdd(OutBuffer* out, uint32_t xid, const BindingFlow& binding);
  [[nodiscard]] bool WriteDelete(OutBuffer* out, uint32_t xid, const BindingKey& key);
  // The same inside an OFPT_BUNDLE_ADD_MESSAGE.
  [[nodiscard]] bool WriteBundledAdd(OutBuffer* out, uint32_t xid, uint32_t bundle_id,
                                     const BindingFlow& binding);
  [[nodiscard]] bool WriteBundledDelete(OutBuffer* out, uint32_t xid, uint32_t bundle_id,
                                        const BindingKey& key);

  uint64_t slow_encodings() const { return slow_; }  // flows encoded without a template

 private:
  struct Template;
  struct Encoded {
    ByteView message;  // valid until the next call
    size_t match_end = 0;
  };
  const Template& TemplateFor(const BindingFlow& binding);
  // An empty message if libopenvswitch refuses the flow.
  Encoded Encode(const BindingFlow& binding);
  Encoded EncodeDelete(const BindingKey& key);

  std::array<std::unique_ptr<Template>, 128> templates_;
  Bytes work_;
  uint64_t slow_ = 0;
};

}  // namespace dyncast::openflow
