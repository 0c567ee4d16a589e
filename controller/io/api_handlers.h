// What the API's paths answer. Called from the threads of requests; what lives on the control thread is asked
// for by a short task there, bindings and events are read from the database.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "controller/io/api_json.h"
#include "controller/io/control_loop.h"
#include "controller/io/store_reader.h"
#include "schema/base/result.h"

namespace dyncast::api {

// A request's parameters, decoded.
using Params = std::multimap<std::string, std::string>;

// One answer, awaited by a request's thread and given by the control thread, perhaps much later.
template <typename T>
class Answer {
 public:
  void Give(T value) {
    const std::lock_guard<std::mutex> lock(mutex_);
    value_ = std::move(value);
    ready_.notify_all();
  }
  std::optional<T> Wait(std::chrono::milliseconds timeout) {
    std::unique_lock<std::mutex> lock(mutex_);
    ready_.wait_for(lock, timeout, [this] { return value_.has_value(); });
    return std::move(value_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable ready_;
  std::optional<T> value_;  // guarded by mutex_
};

// The first value of a parameter; empty where it is not given.
std::string Param(const Params& params, const std::string& key);
// A whole number up to `most`; kInvalid names the parameter and the rule.
Result<uint64_t> NumberParam(const Params& params, const char* key, uint64_t fallback, uint64_t most);

class Handlers {
 public:
  // `loop` and `store` outlive the handlers.
  Handlers(ControlLoop* loop, BindingStore* store, std::unique_ptr<StoreReader> reader, Now started)
      : loop_(loop), store_(store), reader_(std::move(reader)), started_(started) {}

  // Requests that wait for the control thread are answered with kUnavailable.
  void Stop() { stopping_ = true; }
  bool stopping() const { return stopping_.load(); }

  Result<Json> StatusPage(const Params& params);
  Result<Json> Services(const Params& params);
  Result<Json> Instances(const Params& params);
  Result<Json> Agents(const Params& params);
  Result<Json> Switches(const Params& params);
  Result<Json> Metrics(const Params& params);
  Result<Json> Paths(const Params& params);
  Result<Json> Links(const Params& params);
  // Text for Prometheus, docs/metrics.md. Half a second old at most, or older where pages take long.
  Result<std::string> Prometheus();
  Result<Json> Bindings(const Params& params);
  Result<Json> Events(const Params& params);
  Result<Json> Explain(const Params& params);
  Result<Json> Drain(const Params& params);
  Result<Json> Undrain(const Params& params);
  Result<Json> Check(const Params& params);
  Result<Json> Sync(const Params& params);

 private:
  // How long a request waits for the control thread or a switch.
  static constexpr std::chrono::seconds kAnswerTimeout{10};

  // Runs `task` on the control thread and waits for what it gives.
  template <typename T>
  Result<T> Ask(std::function<void(std::shared_ptr<Answer<T>>)> task) {
    auto answer = std::make_shared<Answer<T>>();
    if (Status posted = loop_->queue().Post([task, answer] { task(answer); }); !posted.ok()) {
      return posted.error();
    }
    const auto deadline = std::chrono::steady_clock::now() + kAnswerTimeout;
    while (std::chrono::steady_clock::now() < deadline && !stopping_.load()) {
      if (std::optional<T> value = answer->Wait(std::chrono::milliseconds(100))) return std::move(*value);
    }
    return MakeError(Errc::kUnavailable, "the controller did not answer in time");
  }

  template <typename T>
  Result<T> AskNow(std::function<T()> read) {
    return Ask<T>([read](std::shared_ptr<Answer<T>> answer) { answer->Give(read()); });
  }

  Result<core::FabricView> View() {
    return AskNow<core::FabricView>([this] { return loop_->core().View(ReadClocks()); });
  }

  enum class DrainAction : uint8_t { kDrain, kUndrain };
  Result<Json> SetDrain(const Params& params, DrainAction action);
  // kNotFound for a filter that names what there is not.
  Status CheckFilter(const BindingFilter& filter);
  Result<std::vector<std::string>> SwitchNames();
  std::optional<uint64_t> BindingsInDatabase(const std::string& switch_name);

  ControlLoop* const loop_;
  BindingStore* const store_;
  const std::unique_ptr<StoreReader> reader_;
  const Now started_;
  std::atomic<bool> stopping_{false};
  std::mutex page_mutex_;
  std::string page_;                       // guarded by page_mutex_
  MonoTime page_until_ = MonoTime::min();  // the same: until then `page_` is good enough
};

}  // namespace dyncast::api
