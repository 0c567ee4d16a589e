// How busy an instance is at this moment, and how fast it works: from what the core sees itself (each binding
// that begins and ends), corrected by what the instance reports. Pure. docs/selection.md has the model.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "controller/core/instance_metrics.h"
#include "schema/base/ids.h"
#include "schema/base/time.h"

namespace dyncast::core {

// A positive quantity seen through noisy samples: their mean over many, which is given up at once when a
// sample differs from it by more than chance explains.
class Track {
 public:
  // Remembers about `most` values.
  explicit Track(double most) : most_(most) {}
  // `sample` is the mean of `values` single ones, of which `fresh` were in no sample before.
  void Add(double sample, double values, double fresh);
  bool known() const { return weight_ > 0; }
  double value() const { return mean_; }
  // Values behind the mean.
  double weight() const { return weight_; }
  void Clear() { weight_ = 0; }

 private:
  double most_;
  double mean_ = 0;
  double weight_ = 0;
};

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
  // A binding to it begins at switch `at`; `held` stand before. `rtt_s`: to the instance and back, 0 if not
  // known.
  void Bound(SwitchId at, double rtt_s, uint32_t held, MonoTime now, const ServiceLoad& service);
  // A binding to it ends; `held` stand before.
  void Unbound(uint32_t held, MonoTime now, const ServiceLoad& service);
  // What is known of one that ended by itself.
  void Finished(double active_s, double rtt_s, MonoTime now);
  // A report that counts came in.
  void Reported(const InstanceMetrics& metrics, MonoTime now, ServiceLoad* service);
  // It started anew, or is another one.
  void Clear() { *this = InstanceLoad(); }

  struct Busy {
    double ahead = 0;   // demands that are before the next one: at the instance, or on their way there
    double spread = 0;  // standard deviation of that
  };
  // `held` bindings stand.
  Busy Now(uint32_t held, MonoTime now, const ServiceLoad& service) const;
  // Seconds that it takes to serve a request once it is its turn; nullopt: not known.
  // `fresh`: its reports are not too old.
  std::optional<double> service_s(const ServiceLoad& service, bool fresh, MonoTime now) const;
  // How many requests it serves at a time.
  std::optional<double> workers() const;
  // Requests per second at full use.
  std::optional<double> full_per_s() const;
  // Demands bound per second, lately: all, and those at one switch.
  double bound_per_s(MonoTime now) const;
  double bound_per_s(SwitchId at, MonoTime now) const;

 private:
  struct Pace {
    double service_s = 0;
    double workers = 1;
  };
  Pace PaceNow(const ServiceLoad& service, MonoTime now) const;
  void Advance(uint32_t held, MonoTime now, const ServiceLoad& service);
  void Sample(MonoTime now, const ServiceLoad& service);
  double QueueAt(MonoTime now, const ServiceLoad& service) const;
  double ServerPart() const;

  static constexpr double kOwnMemory = 256;
  static constexpr double kReportedMemory = 1024;
  static constexpr double kLifeMemory = 64;

  MonoTime at_{};
  bool started_ = false;
  double mean_held_ = 0;   // over kTau
  double travelling_ = 0;  // of these, on their way there or back
  double bound_per_s_ = 0;
  double queue_ = 0;  // estimate of demands under way, where bindings outlive them
  // Since the last samples of own_.
  double busy_s_ = 0;
  double done_ = 0;
  Track own_{kOwnMemory};    // seconds of service, from how long bindings stand
  Track life_{kLifeMemory};  // seconds from begin to end of a binding, without the network's and lingering
  MonoTime life_at_{};
  Track service_{kReportedMemory};  // seconds of service, as reported
  Track cost_{kReportedMemory};     // utilisation * seconds per request, as reported
  double work_s_ = 0;               // service time of what it served, and
  double use_s_ = 0;                // seconds of full use that this took
  MonoTime reported_at_{};
  bool reported_ = false;
  double held_s_ = 0;  // since the last report
  double bound_ = 0;
  struct Rate {
    double per_s = 0;
    MonoTime at{};
  };
  std::vector<Rate> bound_at_;  // by switch
};

}  // namespace dyncast::core
