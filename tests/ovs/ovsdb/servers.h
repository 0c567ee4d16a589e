// A folder with an ovsdb-server and an ovs-vswitchd of a test's own, and a manager that is driven until
// something holds.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "ovs-integration/ovsdb/ovsdb_manager.h"

namespace dyncast::ovsdb {

class Servers {
 public:
  Servers();
  ~Servers();
  Servers(const Servers&) = delete;
  Servers& operator=(const Servers&) = delete;

  // An empty database of Open vSwitch's schema, or of `schema_json` where given.
  void CreateDatabase(const std::string& schema_json = {});
  void StartDatabase();
  void StopDatabase();
  void StartSwitch();
  std::string remote() const { return "unix:" + dir_ + "/db.sock"; }
  const std::string& dir() const { return dir_; }
  // Output of `ovs-vsctl --no-wait ARGUMENTS`; adds a failure when it exits with another code than 0.
  std::string Vsctl(const std::string& arguments) const;
  // Output of `ovs-appctl ARGUMENTS` to the switch; waits until it can be asked.
  std::string Appctl(const std::string& arguments) const;
  std::string Ofctl(const std::string& bridge, const std::string& command, const std::string& rest) const;
  // The rows of the tables that hold configuration, without what the switch itself reports.
  std::string Dump() const;

 private:
  std::string Run(const std::string& command) const;
  pid_t Start(const std::vector<std::string>& command) const;
  void Stop(pid_t* pid);
  std::string dir_;
  pid_t database_ = 0;
  pid_t switch_ = 0;
};

class Driver : public Listener {
 public:
  Driver() : manager(this) {}
  void OnPorts(const std::string& name, const std::vector<std::pair<std::string, PortNo>>& found) override {
    ports[name] = found;
  }
  void OnProblem(const std::string&, const std::string& what) override { problems.push_back(what); }

  // Turns the loop until `holds`, at most 30 s.
  bool Until(const std::function<bool()>& holds);
  bool UntilReady();
  BridgeStatus Only() const;  // of a manager with one bridge

  std::map<std::string, std::vector<std::pair<std::string, PortNo>>> ports;
  std::vector<std::string> problems;
  Micros ahead{0};  // the manager's clock runs ahead of ours by this
  OvsdbManager manager;
};

}  // namespace dyncast::ovsdb
