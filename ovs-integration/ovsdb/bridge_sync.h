// Keeps one bridge as wanted: the state machine between a session, the rows and the plan.
//
//   connecting --monitor's answer--> changing <--> ready
//                                       |  refused: the bridge is not ours; looked at again when a row
//                                       |           or the wish changes
//   any --connection lost, garbage--> connecting (rows are forgotten; what was reported stays)
//
// At most one transaction is under way. After one that failed, or that changed nothing, the next comes
// after a delay that doubles up to 8 s.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ovs-integration/ovsdb/ovsdb_manager.h"
#include "ovs-integration/ovsdb/plan.h"
#include "ovs-integration/ovsdb/rows.h"
#include "ovs-integration/ovsdb/session.h"
#include "schema/base/time.h"

namespace dyncast::ovsdb {

// What Run wants the listener to hear, in order.
struct Report {
  std::optional<std::vector<std::pair<std::string, PortNo>>> ports;
  std::vector<std::string> problems;
};

class BridgeSync {
 public:
  explicit BridgeSync(DesiredBridge desired);

  const DesiredBridge& desired() const { return desired_; }
  // The same remote and bridge as before; anything else may differ. Ends a release.
  void Want(DesiredBridge desired);
  // No longer wanted: give the bridge back, then be done (after 60 s in any case).
  void Release(Now now);
  bool releasing() const { return releasing_; }
  bool released() const { return released_; }

  Report Run(Now now);
  void Wait(Now now);
  BridgeStatus status() const;

 private:
  enum class State : uint8_t { kConnecting, kChanging, kReady, kRefused };
  void Handle(const SessionEvent& event, Now now, Report* report);
  void HandleReply(const SessionEvent& event, Now now, Report* report);
  void HandleTransaction(const nlohmann::json& results, Now now, Report* report);
  void Take(const nlohmann::json& updates, Report* report);
  void Lose(const std::string& why, Report* report);
  void Distrust(const std::string& what, Report* report);
  void Replan(Now now, Report* report);
  void Send(const PlanResult& plan, Now now);
  void Problem(const std::string& what, Report* report);
  void Delay(Now now);
  void NoDelay();

  DesiredBridge desired_;
  Session session_;
  Database db_;
  State state_ = State::kConnecting;
  bool monitoring_ = false;  // db_ is complete
  bool dirty_ = false;       // rows or the wish changed since the last plan
  bool distrusted_ = false;  // we are dropping the connection
  bool releasing_ = false;
  bool released_ = false;
  bool seen_ = false;    // the bridge stood ready once
  bool remake_ = false;  // the transaction under way makes it again
  // Under way, each by the number of its request; 0 is one too.
  std::optional<int64_t> monitor_request_;
  std::optional<int64_t> transaction_request_;
  MonoTime answer_due_{};  // of the request under way
  MonoTime not_before_{};  // of the next plan
  Micros delay_{0};
  MonoTime release_due_{};
  nlohmann::json last_operations_;
  std::string last_error_;
  std::string told_;  // the plan's problems as last reported
  std::optional<std::vector<std::pair<std::string, PortNo>>> told_ports_;
  std::vector<std::pair<std::string, PortNo>> ports_;
  uint64_t transactions_ = 0;
  uint64_t reconnects_ = 0;
  uint64_t connects_ = 0;
  uint64_t remade_ = 0;
  uint64_t refused_messages_ = 0;
};

}  // namespace dyncast::ovsdb
