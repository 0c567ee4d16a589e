// Encodes bindings by patching a few octets of ready-made messages: ten to a hundred times
// faster than libopenvswitch's encoders, and equal to them octet by octet (a property test compares).
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "ovs-integration/openflow/wire.h"
#include "schema/base/ids.h"
#include "schema/model/binding.h"

namespace dyncast::openflow {

// A template is made for each shape (family, protocol, table, form, prefix, ports, FIN timeout) when it is
// first met: the specification pipeline::CompileBinding is encoded by libopenvswitch with known values, each
// value is changed alone, and the octets that change are its places. A shape whose values cannot all be found
// that way, or whose template fails the check with other values, is encoded by libopenvswitch each time.
class BindingEncoder {
 public:
  // A binding's flow may stand in any of these forms, and only the exact match finds it without a search of
  // the table. A place of KeyForm::kHeader has kHeader only, others the first two.
  enum class Form : uint8_t {
    kPushed,   // as pipeline::CompileBinding says
    kLearned,  // as the switch learns it: registers alone; without a FIN timeout when it is pushed
    kHeader,   // as pipeline::CompileBinding says, and as the switch renews it
  };
  // Has a match with TCP in front where it is pushed to table 20: its two forms in registers differ.
  static bool FormsDiffer(const BindingKey& key);
  BindingEncoder();
  ~BindingEncoder();

  // Appends an OFPT_FLOW_MOD. False if libopenvswitch refuses the flow: nothing is appended.
  [[nodiscard]] bool WriteAdd(OutBuffer* out, uint32_t xid, const BindingFlow& binding, Form form);
  // The pushed form is that of table 20; the others are deleted wherever they stand. Of `binding` key and
  // client_bits count.
  [[nodiscard]] bool WriteDelete(OutBuffer* out, uint32_t xid, const BindingFlow& binding, Form form);
  // The same inside an OFPT_BUNDLE_ADD_MESSAGE.
  [[nodiscard]] bool WriteBundledAdd(OutBuffer* out, uint32_t xid, uint32_t bundle_id,
                                     const BindingFlow& binding, Form form);
  [[nodiscard]] bool WriteBundledDelete(OutBuffer* out, uint32_t xid, uint32_t bundle_id,
                                        const BindingFlow& binding, Form form);

  uint64_t slow_encodings() const { return slow_; }  // flows encoded without a template

 private:
  struct Template;
  struct Encoded {
    ByteView message;  // valid until the next call
    size_t match_end = 0;
  };
  const Template& TemplateFor(const BindingFlow& binding, Form form);
  // An empty message if libopenvswitch refuses the flow.
  Encoded Encode(const BindingFlow& binding, Form form);
  Encoded EncodeDelete(const BindingFlow& binding, Form form);

  static constexpr size_t kShapes = 6 * kBindingPlaces.size() * 2 * 6;
  std::array<std::unique_ptr<Template>, kShapes> templates_;
  // Of header form with a prefix of the client: by the prefix's length too, as it is part of the shape.
  std::map<std::pair<size_t, uint8_t>, std::unique_ptr<Template>> masked_;
  Bytes work_;
  uint64_t slow_ = 0;
};

}  // namespace dyncast::openflow
