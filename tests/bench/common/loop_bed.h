// A whole controller in this process, without its main: control loop, database and metric socket in a folder,
// one switch `dr1` for an emulated one to take the part of, and the service `bench` (number 1) with four
// instances.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "controller/io/binding_store.h"
#include "controller/io/control_loop.h"

namespace dyncast::bench {

[[noreturn]] void Die(const std::string& why);
// What a command of ours writes; exits if it fails.
nlohmann::json RunJson(const std::string& command);

// The demands of dyncast-fake-switch.
struct DemandOptions {
  int window = 1;    // so many wait at most
  double per_s = 0;  // come so often; 0: as soon as there is room in the window
  double seconds = 1;
};

class LoopBed {
 public:
  struct Options {
    std::filesystem::path dir;
    std::string agents;    // further items of `agents`, in flow style with a comma before each
    std::string services;  // further items of `services`, in block style
  };
  explicit LoopBed(const Options& options);

  // A message of the agent of the four instances: that they are up. To be said every half second.
  void Announce();
  // Turns the loop until dyncast-fake-switch, a process of its own, has made its demands; its report.
  nlohmann::json Demands(const std::string& bin, const DemandOptions& demands);
  // Until all records are on disk.
  void Flush();

  ControlLoop& loop() { return *loop_; }
  BindingStore& store() { return *store_; }
  std::string metrics_endpoint() const { return config_->controller.metrics_bind; }

 private:
  std::filesystem::path dir_;
  std::shared_ptr<const config::FabricConfig> config_;
  std::unique_ptr<BindingStore> store_;
  std::unique_ptr<ControlLoop> loop_;
  uint64_t sequence_ = 1;
};

// The command line for these demands, of a switch with that datapath id.
std::string DemandCommand(const std::string& bin, const std::string& socket, uint64_t dpid,
                          const DemandOptions& demands);

}  // namespace dyncast::bench
