#include "ovs-integration/ovsdb/bridge_sync.h"

#include <fmt/core.h>

#include <algorithm>

#include "schema/base/log.h"

namespace dyncast::ovsdb {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Micros kAnswerTimeout = seconds(10);
constexpr Micros kReleaseTimeout = seconds(60);
constexpr Micros kFirstDelay = milliseconds(100);
constexpr Micros kMaxDelay = seconds(8);
constexpr const char* kDatabase = "Open_vSwitch";

std::string Join(const std::vector<std::string>& lines) {
  std::string all;
  for (const std::string& line : lines) all += (all.empty() ? "" : "; ") + line;
  return all;
}

// The words of an OVSDB error object (RFC 7047 section 3.1), or the value itself.
std::string ErrorText(const json& error) {
  std::string text;
  if (error.is_object() && error.contains("error") && error["error"].is_string()) {
    text = error["error"].get<std::string>();
    if (error.contains("details") && error["details"].is_string()) {
      text += ": " + error["details"].get<std::string>();
    }
  } else {
    text = error.dump(-1, ' ', true, json::error_handler_t::replace);
  }
  if (text.size() > 300) text = text.substr(0, 297) + "...";
  return text;
}

// The first failure among the results of a transaction (RFC 7047 section 4.1.3), or "".
std::string TransactionError(const json& results) {
  if (!results.is_array()) return "the answer to a transaction is no array";
  for (const json& result : results) {
    if (result.is_object() && result.contains("error")) return ErrorText(result);
  }
  return {};
}

}  // namespace

BridgeSync::BridgeSync(DesiredBridge desired) : desired_(std::move(desired)), session_(desired_.remote) {}

void BridgeSync::Want(DesiredBridge desired) {
  if (!releasing_ && desired == desired_) return;
  // Whoever listens under the new name, or again after it let go, has heard nothing yet.
  if (releasing_ || desired.switch_name != desired_.switch_name) told_ports_.reset();
  desired_ = std::move(desired);
  releasing_ = false;
  released_ = false;
  dirty_ = true;
  NoDelay();
}

void BridgeSync::Release(Now now) {
  releasing_ = true;
  dirty_ = true;
  release_due_ = now.mono + kReleaseTimeout;
}

Report BridgeSync::Run(Now now) {
  Report report;
  for (const SessionEvent& event : session_.Run()) Handle(event, now, &report);
  if ((monitor_request_ || transaction_request_) && now.mono >= answer_due_) {
    Distrust("no answer within 10 s", &report);
  }
  if (releasing_ && !released_ && now.mono >= release_due_) {
    Problem(fmt::format("bridge {} could not be released within 60 s and keeps our mark", desired_.bridge),
            &report);
    released_ = true;
  }
  const bool due = now.mono >= not_before_ && (dirty_ || delay_ != Micros{0});
  if (monitoring_ && !transaction_request_ && !released_ && due) Replan(now, &report);
  return report;
}

void BridgeSync::Wait(Now now) {
  session_.Wait();
  if (monitor_request_ || transaction_request_) {
    Session::WakeAfter(answer_due_ - now.mono);
  } else if (monitoring_ && (dirty_ || delay_ != Micros{0})) {
    Session::WakeAfter(std::max(not_before_ - now.mono, Micros{0}));
  }
  if (releasing_) Session::WakeAfter(release_due_ - now.mono);
}

void BridgeSync::Handle(const SessionEvent& event, Now now, Report* report) {
  switch (event.kind) {
    case SessionEventKind::kConnected:
      if (++connects_ > 1) ++reconnects_;
      db_ = Database{};
      // The server speaks of its updates under the last name that a monitor was given; one connection
      // has one monitor.
      monitor_request_ = session_.Request("monitor", {kDatabase, "dyncast", MonitorRequests()});
      answer_due_ = now.mono + kAnswerTimeout;
      return;
    case SessionEventKind::kLost:
      // A connection that we dropped ourselves was reported with its reason.
      if (!distrusted_) Lose("lost: " + event.text, report);
      distrusted_ = false;
      return;
    case SessionEventKind::kFailedAttempt: Lose("cannot be reached: " + event.text, report); return;
    case SessionEventKind::kUpdate:
      if (monitoring_) return Take(event.body, report);
      if (monitor_request_) Distrust("an update before the monitor's answer", report);
      return;
    case SessionEventKind::kReply:
    case SessionEventKind::kErrorReply: return HandleReply(event, now, report);
    case SessionEventKind::kGarbage: return Distrust(event.text, report);
  }
}

void BridgeSync::HandleReply(const SessionEvent& event, Now now, Report* report) {
  const bool good = event.kind == SessionEventKind::kReply;
  if (monitor_request_ == event.request) {
    monitor_request_.reset();
    if (!good) return Distrust("cannot be monitored: " + ErrorText(event.body), report);
    monitoring_ = true;
    state_ = State::kChanging;
    return Take(event.body, report);
  }
  if (transaction_request_ == event.request) {
    transaction_request_.reset();
    if (good) return HandleTransaction(event.body, now, report);
    return Distrust("refused a transaction: " + ErrorText(event.body), report);
  }
  // An answer to what was asked over an earlier connection cannot come over this one.
  if (monitoring_ || monitor_request_) Distrust("an answer to a question that was not asked", report);
}

void BridgeSync::HandleTransaction(const json& results, Now now, Report* report) {
  const std::string error = TransactionError(results);
  dirty_ = dirty_ || error.empty();
  if (!error.empty()) {
    Problem(fmt::format("the database of {} refused a change ({}); trying again", desired_.bridge, error),
            report);
    last_operations_ = nullptr;
    Delay(now);
    return;
  }
  if (remake_) {
    ++remade_;
    DYN_WARN("DC-OV-002", "ovsdb", "bridge-remade", "switch={} bridge={} times={}", desired_.switch_name,
             desired_.bridge, remade_);
  }
}

void BridgeSync::Take(const json& updates, Report* report) {
  const Status applied = Apply(updates, &db_);
  if (!applied.ok()) return Distrust(applied.error().message, report);
  dirty_ = true;
}

void BridgeSync::Lose(const std::string& why, Report* report) {
  monitoring_ = false;
  dirty_ = false;
  monitor_request_.reset();
  transaction_request_.reset();
  state_ = State::kConnecting;
  db_ = Database{};
  last_operations_ = nullptr;
  NoDelay();
  Problem(fmt::format("database {} {}", desired_.remote, why), report);
}

void BridgeSync::Distrust(const std::string& what, Report* report) {
  ++refused_messages_;
  Lose(fmt::format("sent what it may not: {}", what), report);
  distrusted_ = true;
  session_.Reconnect();
}

void BridgeSync::Replan(Now now, Report* report) {
  PlanResult plan = releasing_ ? PlanRelease(db_, desired_) : Plan(db_, desired_);
  dirty_ = false;
  if (releasing_ && plan.operations.empty()) {
    released_ = true;
    return;
  }
  if (!plan.operations.empty()) {
    state_ = State::kChanging;
    // The same again at once would be for ever: the server says yes and does nothing.
    const bool repeated = plan.operations == last_operations_;
    if (!repeated || delay_ != Micros{0}) Send(plan, now);
    if (repeated) Delay(now);
  } else {
    NoDelay();
    last_operations_ = nullptr;
    state_ = plan.refusal.empty() ? State::kReady : State::kRefused;
    seen_ = seen_ || state_ == State::kReady;
  }
  if (releasing_) return;
  std::string problems = plan.refusal.empty() ? Join(plan.problems) : plan.refusal;
  if (problems != told_) {
    told_ = problems;
    if (!problems.empty()) Problem(problems, report);
  }
  if (state_ == State::kReady || state_ == State::kRefused) last_error_ = problems;
  ports_ = std::move(plan.ports);
  const bool first = !told_ports_ && (state_ == State::kReady || !ports_.empty());
  if (first || (told_ports_ && *told_ports_ != ports_)) {
    told_ports_ = ports_;
    report->ports = ports_;
  }
}

void BridgeSync::Send(const PlanResult& plan, Now now) {
  for (const std::string& change : plan.changes) {
    DYN_LOG(kInfo, "ovsdb", "change", "switch={} what=\"{}\"", desired_.switch_name, change);
  }
  json params = json::array({kDatabase});
  for (const json& operation : plan.operations) params.push_back(operation);
  transaction_request_ = session_.Request("transact", params);
  answer_due_ = now.mono + kAnswerTimeout;
  remake_ = plan.makes_bridge && seen_ && !releasing_;
  last_operations_ = plan.operations;
  ++transactions_;
}

void BridgeSync::NoDelay() {
  delay_ = Micros{0};
  not_before_ = MonoTime{};
}

void BridgeSync::Delay(Now now) {
  delay_ = delay_ == Micros{0} ? kFirstDelay : std::min(delay_ * 2, kMaxDelay);
  not_before_ = now.mono + delay_;
}

void BridgeSync::Problem(const std::string& what, Report* report) {
  last_error_ = what;
  DYN_WARN("DC-OV-001", "ovsdb", "problem", "switch={} what=\"{}\"", desired_.switch_name, what);
  report->problems.push_back(what);
}

BridgeStatus BridgeSync::status() const {
  static constexpr const char* kNames[] = {"connecting", "changing", "ready", "refused"};
  return {.switch_name = desired_.switch_name,
          .state = kNames[static_cast<size_t>(state_)],
          .last_error = last_error_,
          .transactions = transactions_,
          .reconnects = reconnects_,
          .ports = ports_,
          .bridges_remade = remade_,
          .messages_refused = refused_messages_};
}

}  // namespace dyncast::ovsdb
