// How busy an instance is at this moment, and how fast it works: from what the core sees itself (each binding
// that begins and ends), corrected by what the instance reports. Pure. docs/selection.md has the model.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "controller/core/instance_metrics.h"
#include "controller/core/pace.h"
#include "schema/base/ids.h"
#include "schema/base/time.h"

namespace dyncast::core {

// What is alike for all instances of a service.
class ServiceLoad {
 public:
  // A binding ended: its first packet was `active_s` before its last one, and it was held for `lingered_s`
  // after that.
  void Finished(double active_s, double lingered_s);
  // An instance reported: of `window_s`, in which it was bound `bound` times and held `held_s` (bindings
  // times seconds), it served `requests`.
  void Reported(double window_s, double bound, double held_s, double requests);

  // Bindings end with their demands, or little later: those that stand are those that are served.
  bool exact() const { return finished_ == 0 || lingered_s_ <= kExactLinger * active_s_; }
  // A binding carries several requests with pauses in between: how many there are says how busy an instance
  // will be, not how busy it is.
  bool sessions() const { return sessions_; }
  // Requests per second of each binding that stands. 0: not known.
  double requests_per_binding_s() const { return held_s_ > 0 ? requests_ / held_s_ : 0; }
  // Mean time from a binding's first to its last packet. nullopt: none ended yet.
  std::optional<double> active_s() const { return finished_ > 0 ? std::optional(active_s_) : std::nullopt; }

 private:
  static constexpr double kExactLinger = 0.25;
  double finished_ = 0;
  double active_s_ = 0;
  double lingered_s_ = 0;
  double seconds_ = 0;
  double bound_ = 0;
  double held_s_ = 0;
  double requests_ = 0;
  bool sessions_ = false;
};

class InstanceLoad {
 public:
  // All: `held` bindings stand before.
  // A binding to it begins at switch `at`. `rtt_s`: to the instance and back, 0 if not known.
  void Bound(SwitchId at, double rtt_s, uint32_t held, MonoTime now, const ServiceLoad& service);
  // A binding to it ends.
  void Unbound(uint32_t held, MonoTime now);
  // What is known of one that ended by itself.
  void Finished(double active_s, double rtt_s, MonoTime now);
  // A report that counts came in.
  void Reported(const InstanceMetrics& metrics, uint32_t held, MonoTime now, ServiceLoad* service);

  // How many times longer its last bindings lived than its reports let expect when they began. nullopt: not
  // known.
  std::optional<double> excess() const;
  // Requests per second that it reported for each binding held, lately. nullopt: too few to tell.
  std::optional<double> served_per_binding_s() const;
  // What is usual among its peers, beside which its reports are believed or not: the excess, >= 1, and the
  // requests per second and binding; 0: not known.
  void Compare(double usual_excess, double usual_served, MonoTime now);

  // What was seen of its pace since it is there. `fresh`: its reports are not too old.
  SeenPace Seen(const ServiceLoad& service, bool fresh, MonoTime now) const;
  // Which of that is believed.
  void SetPace(const Pace& pace) { pace_ = pace; }
  const Pace& pace() const { return pace_; }

  // Demands before the next one: at the instance, or on their way there.
  Crowd Ahead(uint32_t held, MonoTime now, const ServiceLoad& service) const;
  // Demands bound per second, lately: all, and those at one switch.
  double bound_per_s(MonoTime now) const;
  double bound_per_s(SwitchId at, MonoTime now) const;

 private:
  void Advance(uint32_t held, MonoTime now);
  Crowd CrowdAt(MonoTime now) const;
  double ServerPart() const;

  static constexpr double kReportedMemory = 1024;

  Pace pace_;
  MonoTime at_{};
  bool started_ = false;
  double mean_held_ = 0;   // over the last seconds
  double travelling_ = 0;  // of these, on their way there or back
  double bound_per_s_ = 0;
  Crowd crowd_;                     // demands under way, where bindings outlive them
  PaceWatch own_;                   // from how long bindings stand
  Track service_{kReportedMemory};  // seconds of service, as reported
  Track cost_{kReportedMemory};     // utilisation / request rate, as reported
  double work_s_ = 0;               // service time of what it served, as reported, and
  double use_s_ = 0;                // seconds of full use that this took
  MonoTime reported_at_{};          // the last report, or the start
  double held_s_ = 0;               // since the last report
  double bound_ = 0;
  // Seconds from begin to end of a binding, without the network's and what it lingered: as the reports let
  // expect when it began, and as it was. Means over the last ones.
  double foreseen_s_ = 0;
  double life_s_ = 0;
  double lives_ = 0;
  MonoTime life_at_{};
  double usual_excess_ = 1;  // as Compare was told
  double usual_served_ = 0;
  // Sums of reports of the last seconds: requests, bindings times seconds, seconds.
  double served_ = 0;
  double served_held_s_ = 0;
  double served_s_ = 0;
  // When it was last seen to serve its bindings' requests not half as fast as its peers do, and how many it
  // served per second.
  std::optional<MonoTime> behind_at_;
  double behind_per_s_ = 0;
  struct Rate {
    double per_s = 0;
    MonoTime at{};
  };
  std::vector<Rate> bound_at_;  // by switch
};

}  // namespace dyncast::core
